"""What the job tests share: more folders of job files, and RQ's own worker in this process."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Retry, SimpleWorker
from rq.job import Job

import jobs
from tests.support.project import ROOT

FIXTURES = ROOT / "tests/fixtures"
Add = Callable[[Path], None]
Perform = Callable[..., Job]


@pytest.fixture
def add_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Makes the files of another folder job files as well, until the test ends."""
    modules, names = set(sys.modules), set(vars(jobs))

    def add(folder: Path) -> None:
        monkeypatch.setattr(jobs, "__path__", [str(folder), *jobs.__path__])
        for path in folder.glob("*.py"):  # one of the same name may be in jobs/, and loaded
            monkeypatch.delitem(sys.modules, f"jobs.{path.stem}", raising=False)
            monkeypatch.delattr(jobs, path.stem, raising=False)
        importlib.invalidate_caches()

    yield add
    for module in set(sys.modules) - modules:
        if module.startswith("jobs."):
            del sys.modules[module]
    for name in set(vars(jobs)) - names:
        delattr(jobs, name)


@pytest.fixture
def perform(redis: Redis, add_folder: Add) -> Perform:
    """Stores a job as RQ does and lets RQ's SimpleWorker run all there is; returns the job as Redis then has it."""
    add_folder(FIXTURES / "jobs")

    def run(
        type: str, payload: dict[str, Any], tries: int = 1, wait_seconds: int = 0, batch: str = "", **options: Any
    ) -> Job:
        queue = Queue("tests", connection=redis, serializer="json")
        retry = Retry(tries - 1, interval=wait_seconds) if tries > 1 else None
        job = queue.create_job(f"jobs.{type}.run.perform", kwargs=payload, retry=retry, **options)
        if batch:
            redis.hset(job.key, "errand_batch", batch)
        queue.enqueue_job(job)
        worker = SimpleWorker([queue], connection=redis, serializer="json")
        Context().run(worker.work, burst=True)  # a context of its own: the fixture `sent` records in the test's
        return job

    return run
