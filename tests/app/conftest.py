"""An application of somebody else's with an Errand in it."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from redis import Redis
from starlette.testclient import TestClient

from errand import Errand
from errand.fastapi import Tasks
from tests.app import moving
from tests.app.moving import RunTests
from tests.app.shop.jobs import reminder, welcome
from tests.support.connectors import build_connector

PACKAGE = "tests.app.shop.jobs"


@pytest.fixture(autouse=True)
def sent() -> list[str]:
    """Here jobs are stored, not recorded."""
    return []


@pytest.fixture
def errand(redis_url: str, redis: Redis) -> Errand:
    return Errand(PACKAGE, builtin=["email", "log"], connector=build_connector(redis_url))


@pytest.fixture
def host(errand: Errand) -> FastAPI:
    app = FastAPI(lifespan=errand.lifespan)

    @app.post("/signup")
    async def signup(email: str, tasks: Tasks) -> list[str]:
        return [tasks.add_task(welcome.run, email), tasks.add_task(reminder.run, email, delay_seconds=3600)]

    @app.post("/store")
    async def store(email: str) -> str:
        return await welcome.run.store(email, key=email)

    return app


@pytest.fixture
def client(host: FastAPI) -> Iterator[TestClient]:
    with TestClient(host, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def run_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> RunTests:
    """Runs the tests of a page in a folder, of the Errand that is named; returns their names."""
    server = request.getfixturevalue("_errand_server")
    return lambda folder, name: moving.run_tests(folder, name, server, monkeypatch)
