"""Bad input is a clear problem, whichever way it is bad."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from redis import Redis
from starlette.testclient import TestClient

from errand.api.http.problems import Problem
from tests.support.services import Services

MIB = 1024 * 1024


def post(client: TestClient, content: bytes | str | Iterator[bytes], type: str | None = "application/json"):
    return client.post("/v1/jobs/log", content=content, headers={"Content-Type": type} if type else {})


def test_a_client_that_hangs_up_before_its_body_is_whole_is_no_fault_of_ours(
    client: TestClient, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"text"', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict:
        return messages.pop(0)

    async def send(message: dict) -> None:
        pass

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/jobs/log",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "root_path": "",
    }
    with caplog.at_level(logging.ERROR):
        asyncio.run(client.app(scope, receive, send))  # type: ignore[arg-type]
    assert (caplog.records, redis.keys()) == ([], [])


def test_every_fault_is_shown_at_once_by_pointer(client: TestClient) -> None:
    answer = client.post("/v1/jobs/email", json={"to": ["ada@example.com", "bob"], "a/b~c": 1})
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert {"type", "title", "status", "detail", "errors"} == set(problem)
    assert [fault["pointer"] for fault in problem["errors"]] == ["#/to/1", "#/subject", "#/a~1b~0c"]


def test_at_most_100_faults_are_listed(client: TestClient) -> None:
    answer = client.post("/v1/batches/log", json={"items": [{}] * 150})
    assert len(answer.json()["errors"]) == 100
    assert "the first 100 of 150" in answer.json()["detail"]


@pytest.mark.parametrize("type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_a_body_that_is_not_json_by_its_type_is_a_415(client: TestClient, type: str | None) -> None:
    answer = post(client, '{"text": "x"}', type)
    assert (answer.status_code, "Content-Type" in answer.json()["detail"]) == (415, True)


def test_the_json_type_may_have_parameters(client: TestClient) -> None:
    assert post(client, '{"text": "x"}', "Application/JSON; charset=utf-8").status_code == 202


def test_an_empty_body_means_an_empty_object(client: TestClient) -> None:
    answer = post(client, b"", None)
    assert (answer.status_code, answer.json()["errors"]) == (
        422,
        [{"pointer": "#/lines", "detail": "give text or lines, one of them"}],
    )


@pytest.mark.parametrize(
    "body", ["{", "[]", "null", '"x"', '{"text": "\\ud800"}', '{"text": 1}', "\xff", "[" * 100_000, '{"text": NaN}']
)
def test_what_is_no_such_object_is_a_422(client: TestClient, redis: Redis, body: str) -> None:
    assert post(client, body.encode("latin-1")).status_code == 422
    assert redis.keys() == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1e999", "1" * 5000, "[" * 300 + "]" * 300])
def test_what_json_can_not_hold_or_nobody_can_read_is_a_422(client: TestClient, redis: Redis, number: str) -> None:
    assert post(client, f'{{"text": "x", "attributes": {{"n": [{number}]}}}}').status_code == 422
    assert redis.keys() == []


def test_a_body_over_1_mib_is_a_413(client: TestClient, redis: Redis) -> None:
    answer = post(client, b'{"text": "' + b"x" * MIB + b'"}')
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert redis.keys() == []


def test_a_body_over_1_mib_of_unknown_length_is_a_413(client: TestClient) -> None:
    assert post(client, iter([b"x" * (MIB // 4)] * 5)).status_code == 413


def test_a_body_of_just_under_1_mib_is_read(client: TestClient) -> None:
    answer = client.post("/v1/jobs/email", json={"to": "a@example.com", "subject": "x", "text": "x" * (MIB - 100)})
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/jobs/x"), ("GET", "/nothing"), ("GET", "/livez/"), ("POST", "/v1/jobs/log/"), ("DELETE", "/livez")],
)
def test_errors_of_the_framework_are_problems_too(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code in (404, 405)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].startswith("urn:problem-type:errand:")


def test_a_405_says_what_is_possible(client: TestClient) -> None:
    assert client.delete("/livez").headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/v1/jobs/5f0c7d1e-0000-4000-8000-000000000000?x=1"])
def test_unknown_query_parameters_are_refused(client: TestClient, path: str) -> None:
    answer = client.get(path, params={"verbose": "1"})
    assert (answer.status_code, "verbose" in answer.text) == (422, True)


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/docs", "/openapi.json"])
def test_head_works_where_get_does(client: TestClient, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.quick
def test_head_over_the_wire_has_no_body(services: Services) -> None:
    url = services.start_api().removeprefix("http://")
    with socket.create_connection((url.split(":")[0], int(url.split(":")[1])), timeout=10) as connection:
        connection.sendall(f"HEAD / HTTP/1.1\r\nHost: {url}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")


def test_a_fault_of_our_own_is_a_500_that_shows_nothing(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*args: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("errand.api.routes.jobs.show_new_job", explode)
    answer = client.post("/v1/jobs/log", json={"text": "x"})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "hunter2" not in answer.text


def test_a_parameter_that_may_repeat_is_shown_by_its_name(client: TestClient) -> None:
    errors = client.post("/v1/jobs/log?after=nope&tag=%20", json={"text": "x"}).json()["errors"]
    assert [error["parameter"] for error in errors] == ["after", "tag"]


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
def test_an_encoded_body_is_a_415_that_names_the_encoding(client: TestClient, encoding: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    answer = client.post("/v1/jobs/log", content=b"\x1f\x8b\x08", headers=headers)
    assert (answer.status_code, encoding in answer.json()["detail"]) == (415, True)
    assert answer.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("encoding", ["identity", ""])
def test_a_body_that_is_said_not_to_be_encoded_is_taken(client: TestClient, encoding: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    assert client.post("/v1/jobs/log", content=b'{"text": "x"}', headers=headers).status_code == 202


def test_a_byte_order_mark_is_passed_over(client: TestClient) -> None:
    assert post(client, b'\xef\xbb\xbf{"text": "x"}').status_code == 202


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_body_in_another_unicode_encoding_is_refused_as_not_utf_8(client: TestClient, encoding: str) -> None:
    answer = post(client, '{"text": "é"}'.encode(encoding))
    assert (answer.status_code, "UTF-8" in answer.json()["detail"]) == (415, True)


def test_an_application_without_our_handlers_answers_a_problem_with_its_status() -> None:
    async def refuse() -> AsyncIterator[None]:
        yield
        raise Problem(503, "redis-full", "Redis is full", {"Retry-After": "2"})

    host = FastAPI()
    host.add_api_route("/signup", lambda: None, dependencies=[Depends(refuse, scope="function")])
    answer = TestClient(host).get("/signup")
    assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (503, {"detail": "Redis is full"}, "2")
