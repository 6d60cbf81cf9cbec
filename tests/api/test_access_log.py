"""The access log, and the id that each request has."""

import json
import logging
from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from redis import Redis
from starlette.testclient import TestClient

from errand.api.http.access_log import AccessLines, AccessLog, hide_values
from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from tests.support.connectors import create_app
from tests.support.job_types import WITH_TUTORIAL

Build = Callable[[bool], TestClient]


@pytest.fixture
def app(queue_settings: QueueSettings) -> FastAPI:
    app = create_app(ApiSettings(ERRAND_LOCAL=True), queue_settings, WITH_TUTORIAL)

    @app.get("/broken/{word}")
    async def break_down(word: str) -> None:
        raise ValueError(word)

    return app


@pytest.fixture
def build(app: FastAPI) -> Iterator[Build]:
    with TestClient(app, base_url="http://localhost") as client:

        def wrap(as_json: bool) -> TestClient:
            app.middleware_stack = AccessLog(app.build_middleware_stack(), AccessLines(as_json, has_time=False))
            return client

        yield wrap


def test_a_line_shows_the_route_and_neither_the_address_in_its_path_nor_the_query(
    build: Build, redis: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    build(False).post("/send-notification/ada@example.com?message=Confidential")
    assert capsys.readouterr().out == '"POST /send-notification/{email} HTTP/1.1" 200 OK\n'


@pytest.mark.parametrize("path", ["/nothing/ada@example.com/x", "/nothing/ada%40example.com/x"])
def test_what_may_be_an_address_is_left_out_of_a_path_without_a_route(
    build: Build, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    build(False).get(path)
    assert capsys.readouterr().out == '"GET /nothing/***/x HTTP/1.1" 404 Not Found\n'


def test_a_line_of_json_names_the_job_that_was_stored_or_asked_for(
    build: Build, redis: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    client = build(True)
    id = client.post("/v1/jobs/log", json={"text": "hello"}, headers={"X-Request-ID": "order-7"}).json()["id"]
    client.get(f"/v1/jobs/{id}")
    posted, read = map(json.loads, capsys.readouterr().out.splitlines())
    assert posted.pop("time").endswith("Z")
    assert posted == {
        "level": "info",
        "event": "POST /v1/jobs/log 202",
        "logger": "uvicorn.access",
        "status": 202,
        "job_id": id,
        "client": "testclient",
        "request_id": "order-7",
    }
    assert (read["event"], read["job_id"]) == ("GET /v1/jobs/{id} 200", id)


def test_the_answer_has_the_callers_request_id_or_one_of_ours(build: Build) -> None:
    client = build(True)
    assert client.get("/livez", headers={"X-Request-ID": "a.B/7"}).headers["X-Request-ID"] == "a.B/7"
    made = [client.get("/livez").headers["X-Request-ID"] for _ in range(2)]
    assert made[0] != made[1]


@pytest.mark.parametrize("given", ["ada@example.com", "x" * 129, 'a"b', ""])
def test_a_request_id_that_could_be_anything_is_replaced(build: Build, given: str) -> None:
    found = build(True).get("/livez", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert found not in ("", given)


def test_an_error_of_the_applications_is_logged_once_and_answered(
    build: Build, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = build(False).get("/broken/Confidential")
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == [
        "GET /broken/{word} failed"
    ]
    assert capsys.readouterr().out == '"GET /broken/{word} HTTP/1.1" 500 Internal Server Error\n'


def test_an_access_log_of_your_own_gets_neither_query_nor_addresses() -> None:
    args = ("127.0.0.1:1", "POST", "/send-notification/ada%40example.com?message=Confidential", "1.1", 200)
    record = logging.makeLogRecord({"msg": '%s - "%s %s HTTP/%s" %d', "args": args})
    assert hide_values(record)
    assert record.getMessage() == '127.0.0.1:1 - "POST /send-notification/*** HTTP/1.1" 200'
