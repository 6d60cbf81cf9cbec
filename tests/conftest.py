"""Fixtures over real services: one Valkey a session, and processes that end with their test."""

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from fastapi import FastAPI
from hypothesis import settings
from redis import Redis
from starlette.testclient import TestClient

from errand import recording
from errand.api.settings import ApiSettings
from errand.api.store import build_store
from errand.local.valkey import EmbeddedValkey
from errand.redis.connection import WORKER
from errand.store.settings import QueueSettings
from tests.support.connectors import FAKE, FAKE_URL, build_connector, create_app
from tests.support.job_types import TYPES
from tests.support.project import IGNORED, ROOT, copy_project
from tests.support.servers import LimitedValkey, find_fast_folder
from tests.support.services import Services, pass_coverage
from tests.support.sinks import ScriptedSink

pytest_plugins = ["tests.support.job_fixtures", "tests.support.selection", "tests.support.surroundings"]
settings.register_profile("errand", deadline=None)  # no test asserts a speed: machines are busy
settings.load_profile("errand")
SETTINGS = (
    "ERRAND_URL",
    "ERRAND_KEY",
    "REDIS_URL",
    "JOB_RESULT_TTL_SECONDS",
    "JOB_FAILURE_TTL_SECONDS",
    "SMTP_URL",
    "MAIL_FROM",
    "LOG_URL",
    "DATABASE_URL",
    "API_KEYS",
    "CORS_ORIGINS",
    "DASHBOARD_PASSWORD",
    "CONSOLE_READ_PASSWORD",
    "SECRET_KEY",
    "ERRAND_LOCAL",
    "ERRAND_MAIL_FOLDER",
    "WORKER_THREADS",
    "WORKER_GRACE_SECONDS",
    "WORKER_LEASE_SECONDS",
    "WORKER_MAX_MB",
    "MAIL_ON_UNKNOWN",
    "MAIL_SENDERS",
    "MAIL_TRY_HOURS",
    "MAIL_MAX_BYTES",
    "SMTP_CONNECTIONS",
    "WEBHOOK_URL",
    "WEBHOOK_SECRETS",
    "WEBHOOK_ALLOW_PRIVATE",
)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's own reaches a test, nor one from a file of theirs."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


@pytest.fixture(autouse=True, scope="module")
def _short_collections() -> None:
    """Leave what earlier files made out of later collections.

    A look at the heap of a whole run stops the process for seconds, and an API inside it then rightly answers 503.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def sent(request: pytest.FixtureRequest) -> Iterator[list]:
    """What jobs that are called as plain functions enqueue: `(type, payload)`; with `errand_jobs` it is stored."""
    if "errand_jobs" in request.fixturenames:
        yield []
        return
    with recording() as calls:
        yield calls


@pytest.fixture(scope="session")
def valkey() -> Iterator[LimitedValkey]:
    """The embedded server, as `errand up` starts it."""
    folder = Path(tempfile.mkdtemp(prefix="errand-", dir=find_fast_folder()))
    server = LimitedValkey(folder / "v")
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def own_valkey() -> Iterator[EmbeddedValkey]:
    """A server of the test's own, which it may fill."""
    with tempfile.TemporaryDirectory(prefix="errand-", dir=find_fast_folder()) as folder:
        server = EmbeddedValkey(Path(folder) / "v")
        server.start()
        yield server
        server.stop()


@pytest.fixture
def redis_url(request: pytest.FixtureRequest, is_on_fake: bool) -> str:
    """The server of this test process, the fake one where that will do; of a real one, the URL of its limited user."""
    return FAKE_URL if is_on_fake else request.getfixturevalue("valkey").user_url


@pytest.fixture
def redis(request: pytest.FixtureRequest, is_on_fake: bool) -> Iterator[Redis]:
    """A client of an empty server, which may do everything there."""
    server = None if is_on_fake else request.getfixturevalue("valkey")
    client = Redis.from_url(server.url) if server else FAKE.connect(WORKER)
    client.flushall()
    yield client
    client.close()
    if server:
        server.assert_nothing_was_denied()


@pytest.fixture
def queue_settings(redis_url: str, redis: Redis) -> QueueSettings:
    """Settings that point to the empty server."""
    return QueueSettings(REDIS_URL=redis_url)


@pytest.fixture(scope="session")
def build_app() -> Callable[[str], FastAPI]:
    """Builds the API without keys, as under `errand up`, once for each server: it takes a tenth of a second."""
    return cache(lambda url: create_app(ApiSettings(ERRAND_LOCAL=True), QueueSettings(REDIS_URL=url), TYPES))


@pytest.fixture
def client(build_app: Callable[[str], FastAPI], queue_settings: QueueSettings) -> Iterator[TestClient]:
    """That API in this process, with what it keeps of earlier tests forgotten."""
    app = build_app(queue_settings.redis_url)
    app.state.store = build_store(build_connector(queue_settings.redis_url), queue_settings, app.state.store.types)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def sink() -> Iterator[ScriptedSink]:
    """An SMTP server that answers as scripted."""
    server = ScriptedSink()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the job files of tests/fixtures/jobs added, as a user would add them."""
    folder = tmp_path_factory.mktemp("project")
    copy_project(folder)
    shutil.copytree(ROOT / "tests/fixtures/jobs", folder / "jobs", dirs_exist_ok=True, ignore=IGNORED)
    return folder


def build_environment(redis_url: str, sink: ScriptedSink, folder: Path) -> dict[str, str]:
    """Return the environment of real processes whose files lie in `folder`."""
    return {
        **pass_coverage(),
        "PATH": os.environ["PATH"],
        "REDIS_URL": redis_url,
        "SMTP_URL": sink.url,
        "MAIL_FROM": "Errand <errand@example.com>",
        "LOG_URL": f"file:{folder}/log.txt",
        "DATABASE_URL": f"sqlite:///{folder}/errand.db",
        "ERRAND_LOCAL": "1",
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def services(
    project: Path, valkey: LimitedValkey, redis: Redis, sink: ScriptedSink, tmp_path: Path
) -> Iterator[Services]:
    """Starts real processes over `project`: the API, workers. They end with the test."""
    services = Services(project, build_environment(valkey.user_url, sink, tmp_path), tmp_path)
    yield services
    services.stop()
