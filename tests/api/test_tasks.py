"""DurableTasks in an endpoint of your own."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from pydantic import ValidationError
from redis import Redis
from starlette.testclient import TestClient

from errand import Depends, job
from errand.api.background_tasks import DurableTasks, Tasks
from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from jobs import log
from tests.support.connectors import create_app
from tests.support.job_types import TYPES


@pytest.fixture
def app(queue_settings: QueueSettings) -> FastAPI:
    return create_app(ApiSettings(ERRAND_LOCAL=True), queue_settings, TYPES)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    @app.post("/three")
    async def three(tasks: Tasks) -> list[str]:
        return [tasks.add_task(log.run, str(number)) for number in range(3)]

    @app.post("/none")
    async def none(tasks: Tasks) -> None:
        pass

    @app.post("/raises")
    async def raises(tasks: Tasks) -> None:
        tasks.add_task(log.run, "x")
        raise RuntimeError

    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def test_tasks_are_a_chain_in_the_order_added(client: TestClient, redis: Redis) -> None:
    first, second, third = client.post("/three").json()
    assert redis.lrange("rq:queue:log", 0, -1) == [first.encode()]
    assert redis.smembers(f"rq:job:{first}:dependents") == {second.encode()}
    assert redis.smembers(f"rq:job:{second}:dependents") == {third.encode()}


def test_an_endpoint_without_tasks_stores_nothing(client: TestClient, redis: Redis) -> None:
    assert client.post("/none").status_code == 200
    assert redis.keys() == []


def test_an_endpoint_that_raises_stores_nothing(client: TestClient, redis: Redis) -> None:
    assert client.post("/raises").status_code == 500
    assert redis.keys() == []


def test_a_wrong_payload_is_refused_where_it_is_added() -> None:
    with pytest.raises(ValidationError):
        DurableTasks().add_task(log.run, 7)  # type: ignore[arg-type]


def connect() -> list[str]:
    return []


def test_what_the_worker_gives_can_not_be_added() -> None:
    @job()
    def run(number: int, db: list[str] = Depends(connect)) -> None: ...

    with pytest.raises(TypeError, match="db is given by the worker"):
        DurableTasks().add_task(run, 7, db=None)


def test_the_id_is_known_before_the_job_is_stored() -> None:
    tasks = DurableTasks()
    assert tasks.add_task(log.run, "x") == tasks.jobs[0].id
