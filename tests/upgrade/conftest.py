"""Fixtures: the service over what the code of commit e6e9af9 has stored."""

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

import jobs
from tests.conftest import EmbeddedValkey, build_environment
from tests.support.sinks import ScriptedSink
from tests.support.site import Site
from tests.upgrade.fill import HOOKS, JOBS, copy_project
from tests.upgrade.stored import read, restore

DATA = Path(__file__).parent / "e6e9af9.json"


@dataclass
class Before:
    """A service on a server that holds it all; jobs and batches are asked for by the names that fill.py gives them."""

    site: Site
    written: dict[str, Any]

    def __getitem__(self, name: str) -> str:
        return str({**self.written["jobs"], **self.written["batches"]}[name])

    def read(self, name: str) -> dict[str, Any]:
        return self.site.read(self[name])

    def act(self, name: str, action: str) -> Any:
        return self.site.call("POST", f"/v1/jobs/{self[name]}/{action}")

    def get(self, path: str) -> Any:
        answer = self.site.call("GET", path)
        assert answer.status == 200, (path, answer)
        return answer.body

    def start_worker(self, **environment: str) -> None:
        self.site.start_ready_worker(WORKER_LEASE_SECONDS="2", **HOOKS, **environment)

    def come_due(self, *names: str) -> None:
        """Let the time come for which jobs wait."""
        for name in names:
            assert self.site.redis.zadd("rq:scheduled:default", {self[name]: 1}, xx=True, ch=True) == 1


@pytest.fixture(scope="session")
def written() -> dict[str, Any]:
    return read(DATA)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the job files of tests/upgrade/jobs added."""
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def types() -> Iterator[Any]:
    """The job types of that copy, loaded into this process."""
    known = set(sys.modules)
    jobs.__path__.append(str(JOBS))
    found = jobs.load_jobs()
    jobs.__path__.remove(str(JOBS))
    yield found
    for name in {name for name in sys.modules if name.startswith("jobs.")} - known:
        del sys.modules[name]
        delattr(jobs, name.removeprefix("jobs."))
    importlib.invalidate_caches()


@pytest.fixture
def before(
    written: dict[str, Any],
    project: Path,
    valkey: EmbeddedValkey,
    redis: Redis,
    sink: ScriptedSink,
    tmp_path: Path,
    types: Any,
) -> Iterator[Before]:
    restore(redis, written)
    site = Site(project, build_environment(valkey.url, sink, tmp_path), tmp_path, types)
    with site.client:
        yield Before(site, written)
        site.stop()
