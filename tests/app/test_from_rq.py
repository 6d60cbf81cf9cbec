"""What docs/from-rq.md shows works as written, and both run beside each other."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from errand.local.valkey import EmbeddedValkey
from tests.app.moving import RunTests, importing, read_page, run, write

PAGE = read_page("from-rq.md")
PAGES = "rendered, announced = [], []\n\n\ndef render(month, number):\n    rendered.append(number)\n\n\n"
OWN = {"shop/pages.py": PAGES + "def announce(month):\n    announced.append(month)\n"}
BURST = ("service", "worker", "shop.reports:errand", "--burst")


@pytest.fixture
def before(tmp_path: Path, valkey: EmbeddedValkey, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The application as it was, on a real server: it makes the client itself."""
    monkeypatch.setenv("REDIS_URL", valkey.url)
    write(tmp_path / "before", OWN, PAGE.before)
    with importing(tmp_path / "before", monkeypatch):
        reports = import_module("shop.reports")
        yield reports
        reports.queue.connection.close()


def work(reports: Any) -> None:
    SimpleWorker([reports.queue], connection=reports.queue.connection).work(burst=True, logging_level="WARNING")


def test_before_runs_as_it_stands(before: Any) -> None:
    id = before.close("May")
    work(before)
    job = Job.fetch(id, connection=before.queue.connection)
    assert (job.return_value(), job.meta) == (3, {"done": 3})
    assert import_module("shop.pages").announced == ["May"]


def test_after_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_tests: RunTests) -> None:
    write(tmp_path, OWN, PAGE.after)
    monkeypatch.setenv("ERRAND_REDIS_URL", "redis://nowhere.invalid/1")
    assert len(run_tests(tmp_path, "shop.reports:errand")) == 1


@pytest.mark.thorough
def test_both_run_until_the_old_queue_is_empty(before: Any, valkey: EmbeddedValkey, tmp_path: Path) -> None:
    id = before.close("May")
    store = "from shop import reports; reports.close('June')"
    write(tmp_path / "after", OWN, PAGE.before, PAGE.after, {"store.py": store})
    urls = {"REDIS_URL": valkey.url, "ERRAND_REDIS_URL": f"{valkey.url}?db=1"}
    new = Redis.from_url(urls["ERRAND_REDIS_URL"])
    new.flushdb()
    assert run(tmp_path / "after", "store", **urls).returncode == 0
    assert run(tmp_path / "after", *BURST, **urls).returncode == 0
    assert run(tmp_path / "after", "left", **urls).stdout == "reports 3\n"
    work(before)
    assert Job.fetch(id, connection=before.queue.connection).return_value() == 3
    assert run(tmp_path / "after", "left", **urls).stdout == "reports 1\n"  # the one for next week
    queue = Queue("reports", connection=new, serializer=JSONSerializer)
    assert (queue.finished_job_registry.count, queue.failed_job_registry.count) == (2, 0)
    new.close()


@pytest.mark.slow
def test_what_errand_took_by_mistake_is_given_back(before: Any, valkey: EmbeddedValkey, tmp_path: Path) -> None:
    id = before.close("May")
    write(tmp_path / "after", OWN, PAGE.after)
    run(tmp_path / "after", *BURST, ERRAND_REDIS_URL=valkey.url)
    assert before.queue.failed_job_registry.get_job_ids() == [id]
    run(tmp_path, "rq.cli", "requeue", "--url", valkey.url, "--queue", "reports", "--all")
    work(before)
    assert Job.fetch(id, connection=before.queue.connection).return_value() == 3


@pytest.mark.thorough
def test_a_service_that_speaks_rq_stores_errands_jobs(valkey: EmbeddedValkey, redis: Redis, tmp_path: Path) -> None:
    write(tmp_path, OWN, PAGE.after)
    queue = Queue("reports", connection=redis, serializer=JSONSerializer)
    job = queue.enqueue("shop.jobs.render.run.perform", kwargs={"month": "May"}, description="render")
    assert run(tmp_path, *BURST, ERRAND_REDIS_URL=valkey.url).returncode == 0
    assert job.return_value(refresh=True) == 3
