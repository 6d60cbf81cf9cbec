"""Fixtures of the fault tests."""

import importlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

import jobs
from errand import Job, load_jobs
from tests.conftest import build_environment
from tests.support.ledgers import Ledger
from tests.support.proxies import Proxy
from tests.support.servers import LimitedValkey, Server, find_fast_folder
from tests.support.sinks import ScriptedSink
from tests.support.site import Site

RunSite = Callable[[LimitedValkey], AbstractContextManager[Site]]


@pytest.fixture(scope="session")
def types(project: Path) -> dict[str, Job[..., Any]]:
    """The job types of the copied project, those of tests/fixtures/jobs among them, loaded into this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "__path__", [str(project / "jobs")])
        _forget_job_files(patch)
        importlib.invalidate_caches()
        found = load_jobs()
        _forget_job_files(pytest.MonkeyPatch())
    importlib.invalidate_caches()
    return found


def _forget_job_files(patch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("jobs.")]:
        patch.delitem(sys.modules, name)
        patch.delattr(jobs, name.removeprefix("jobs."), raising=False)


@pytest.fixture
def data_folder() -> str | None:
    """Where the server keeps its data; None is the disk."""
    return find_fast_folder()


@pytest.fixture
def server(data_folder: str | None) -> Iterator[Server]:
    """A server that a test may hurt."""
    folder = Path(tempfile.mkdtemp(prefix="errand-", dir=data_folder))
    server = Server(folder / "v")
    server.start()
    yield server
    try:
        server.assert_nothing_was_denied()
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy before that server."""
    with Proxy(server.user_url) as proxy:
        yield proxy


@pytest.fixture
def run_site(project: Path, sink: ScriptedSink, tmp_path: Path, types: dict[str, Job[..., Any]]) -> RunSite:
    """Runs the service on a server inside a block."""

    @contextmanager
    def run(server: LimitedValkey) -> Iterator[Site]:
        site = Site(project, build_environment(server.user_url, sink, tmp_path), tmp_path, types, server.url)
        with site.client:
            yield site
            site.stop()

    return run


@pytest.fixture
def site(valkey: LimitedValkey, redis: Redis, run_site: RunSite) -> Iterator[Site]:
    """The service on the session's server."""
    with run_site(valkey) as site:
        yield site


@pytest.fixture
def own_site(server: Server, run_site: RunSite) -> Iterator[Site]:
    """The service on a server that the test may hurt."""
    with run_site(server) as site:
        yield site


@pytest.fixture
def ledger(site: Site) -> Ledger:
    """What ran on `site`."""
    return site.ledger
