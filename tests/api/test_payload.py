"""`fields=payload`: what a job was posted with."""

import json
import pickle
import zlib
from typing import Any

import pytest
from pydantic import TypeAdapter
from redis import Redis
from starlette.testclient import TestClient

from errand.api.views import JobView
from errand.store.observe import payloads

MAIL = {"to": "ada@example.com", "subject": "It works", "text": "Zażółć"}


def post(client: TestClient, type: str = "log", payload: dict[str, Any] | None = None) -> str:
    answer = client.post(f"/v1/jobs/{type}", json=payload or {"text": "x"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def ask(client: TestClient, id: str) -> Any:
    job = client.get(f"/v1/jobs/{id}?fields=payload").json()
    TypeAdapter(JobView).validate_python(job, extra="forbid")
    return job["payload"]


def test_a_payload_is_there_only_where_it_is_asked_for(client: TestClient) -> None:
    id = post(client, "log", {"text": "Zażółć"})
    assert ask(client, id) == {"text": "Zażółć"}
    assert "payload" not in client.get(f"/v1/jobs/{id}").json()
    assert "payload" not in client.get("/v1/jobs").json()["items"][0]


def test_a_model_is_shown_as_it_was_posted(client: TestClient) -> None:
    shown = ask(client, post(client, "email", MAIL))
    assert (shown["to"], shown["subject"]) == ([MAIL["to"]], MAIL["subject"])


def test_lists_show_payloads_too_each_that_of_its_job(client: TestClient, redis: Redis) -> None:
    ids = [post(client, "tally", {"number": number}) for number in range(3)]
    jobs = client.get("/v1/jobs?fields=payload&limit=2")
    assert [job["payload"]["number"] for job in jobs.json()["items"]] == [2, 1]
    assert "fields=payload" in jobs.headers["link"]
    redis.hset(f"rq:job:{ids[0]}", "status", "failed")
    redis.zadd("rq:failed:default", {ids[0]: 2_000_000_000})
    assert client.get("/v1/dead-letters?fields=payload").json()["items"][0]["payload"] == {"number": 0}
    assert client.get("/v1/dead-letters?fields=payload&type=email").json()["items"] == []


def test_what_lies_outside_is_shown_by_its_size(client: TestClient) -> None:
    text = "ä" * 70_000
    shown = ask(client, post(client, "email", MAIL | {"text": text}))
    assert shown["text"]["errand:bodies"]["bytes"] == len(json.dumps(text, ensure_ascii=False).encode())
    assert shown["subject"] == MAIL["subject"]


DATA = {
    "a pickle": pickle.dumps(("jobs.log.run.perform", None, (), {"text": "x"})),
    "nothing": b"",
    "no JSON": zlib.compress(b"{"),
    "no text": zlib.compress(b'"\xff"'),
    "another shape": b"[1]",
    "positional arguments": b'["copy.copy", null, [1], {}]',
    "no number": b'["a", null, [], {"x": NaN}]',
    "too deep": b'["a", null, [], {"x": ' + b"[" * 300 + b"]" * 300 + b"}]",
    "a damaged mark": b'["a", null, [], {"errand:bodies": {"cut": 7}}]',
    "too much": zlib.compress(b'["a", null, [], {"x": "' + b"y" * payloads.BYTES_LIMIT + b'"}]'),
}


@pytest.mark.parametrize("kind", DATA)
def test_what_can_not_be_shown_is_null(client: TestClient, redis: Redis, kind: str) -> None:
    id = post(client)
    redis.hset(f"rq:job:{id}", "data", DATA[kind])
    assert ask(client, id) is None


def test_data_that_is_not_packed_is_read_as_rq_reads_it(client: TestClient, redis: Redis) -> None:
    id = post(client)
    redis.hset(f"rq:job:{id}", "data", b'["jobs.log.run.perform", null, [], {"text": "y"}]')
    assert ask(client, id) == {"text": "y"}


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/dead-letters", "/v1/jobs/9a8b7c6d-0000-4000-8000-000000000000"])
def test_an_unknown_field_is_refused_with_what_there_is(client: TestClient, path: str) -> None:
    for query in ("payload,result", "nope", ""):
        answer = client.get(f"{path}?fields={query}")
        (fault,) = answer.json()["errors"]
        assert (answer.status_code, fault["parameter"]) == (422, "fields")
        assert "there is: payload" in fault["detail"]
