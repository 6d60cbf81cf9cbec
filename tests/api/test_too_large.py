"""What is larger than it may be, put into Redis by hand: every reader says so, and reads no more of it."""

import json
import re
import zlib
from base64 import b64encode
from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient

from errand.api.console.views.edit import digest_payload
from errand.redis import keys
from tests.api.console.conftest import OURS
from tests.api.stored import Stored

PAYLOADS = {
    "packed": lambda: zlib.compress(b'["jobs.log.run.perform",null,[],{"text":"' + b"a" * keys.DATA_BYTES + b'"}]', 1),
    "as it is": lambda: b"{" * (keys.DATA_BYTES + 1),
}
TRACES = {
    "packed": lambda: b64encode(zlib.compress(b"a" * (keys.TRACE_BYTES + 1))),
    "as it is": lambda: b"A" * (keys.TRACE_BYTES + 4),
}
REGISTRY = {"finished": "finished", "failed": "failed"}


@pytest.fixture
def stored(redis: Redis) -> Stored:
    return Stored(redis)


def put(redis: Redis, id: str, field: str, value: bytes) -> None:
    """Put another last result there."""
    kind = {"return_value": "1", "exc_string": "2"}[field]
    redis.delete(keys.RESULTS + id)
    redis.xadd(keys.RESULTS + id, {"type": kind, "created_at": "2026-12-24T18:00:00Z", field: value})


def read_everywhere(client: TestClient, id: str, registry: str = "") -> dict[str, Any]:
    """Ask for a job wherever it is shown; return its status."""
    paths = [f"/v1/jobs/{id}{more}" for more in ("", "/attempts", "/logs", "/why")]
    paths += [
        "/v1/jobs",
        "/v1/dead-letters",
        "/v1/dead-letters/groups",
        f"/console/jobs/{id}",
        "/console/jobs",
        "/console",
    ]
    paths += [f"/console/jobs/{id}", f"/dashboard/0/view/job/{id}", f"/dashboard/0/data/job/{id}.json"]
    if registry:
        paths += [f"/dashboard/0/data/jobs/default/{registry}/8/asc/1.json"]
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.text)
        assert len(answer.content) < 200_000, path
    return dict(client.get(f"/v1/jobs/{id}").json())


@pytest.mark.parametrize("form", PAYLOADS)
def test_a_payload(client: TestClient, redis: Redis, form: str) -> None:
    id = client.post("/v1/jobs/log", json={"text": "x"}).json()["id"]
    redis.hset(keys.JOB + id, "data", PAYLOADS[form]())
    assert read_everywhere(client, id)["status"] == "queued"
    assert "too large" in client.get(f"/console/jobs/{id}").text
    assert client.get(f"/dashboard/0/data/job/{id}.json").json()["metadata"] == '{"damaged": "data"}'
    assert client.post(f"/v1/jobs/{id}/cancel").status_code == 200
    assert client.post(f"/v1/jobs/{id}/requeue").status_code == 202


@pytest.mark.parametrize("form", PAYLOADS)
def test_a_payload_that_is_to_run_again_or_to_be_edited(client: TestClient, redis: Redis, form: str) -> None:
    id = client.post("/v1/jobs/log", json={"text": "x"}).json()["id"]
    client.post(f"/v1/jobs/{id}/cancel")
    redis.hset(keys.JOB + id, "data", PAYLOADS[form]())
    page = client.get(f"/console/jobs/{id}/edit")
    sent = {"payload": '{"text": "y"}', "before": digest_payload(b""), "do": "new"}
    answers = [client.post(f"/console/jobs/{id}/{what}", data=sent, headers=OURS) for what in ("again", "edit")]
    for answer in (page, *answers):
        assert answer.status_code == 409
        assert "too large" in answer.text


def test_a_result(client: TestClient, redis: Redis, stored: Stored) -> None:
    id = stored.finished().id
    put(redis, id, "return_value", b64encode(json.dumps("a" * keys.RESULT_BYTES).encode()))
    job = read_everywhere(client, id, "finished")
    assert (job["status"], job["result"], job["error"]["type"]) == ("finished", None, "UnreadableResult")
    assert re.search(r"too large to be shown: it has 1,\d\d\d,\d\d\d bytes", job["error"]["message"])


def test_a_result_that_is_just_not_too_large(client: TestClient, redis: Redis, stored: Stored) -> None:
    id, text = stored.finished().id, "a" * (keys.RESULT_BYTES * 3 // 4 - 2)
    put(redis, id, "return_value", b64encode(json.dumps(text).encode()))
    assert client.get(f"/v1/jobs/{id}").json()["result"] == text


@pytest.mark.parametrize("form", TRACES)
def test_a_traceback(client: TestClient, redis: Redis, stored: Stored, form: str) -> None:
    id = stored.failed().id
    put(redis, id, "exc_string", TRACES[form]())
    job = read_everywhere(client, id, "failed")
    assert job["error"] == {"type": "Unknown", "message": "the recorded error is too large to be shown"}
    (attempt,) = client.get(f"/v1/jobs/{id}/attempts").json()["items"]
    assert "which is not shown" in attempt["traceback"]


@pytest.mark.parametrize("form", TRACES)
def test_a_traceback_of_an_earlier_attempt(client: TestClient, redis: Redis, stored: Stored, form: str) -> None:
    id = stored.failed().id
    redis.hset(keys.ATTEMPTS + id, "1", json.dumps({"outcome": "failed", "trace": "f00"}))
    redis.set(f"{keys.TRACE}f00", TRACES[form]())
    attempts = client.get(f"/v1/jobs/{id}/attempts").json()["items"]
    assert "which is not shown" in attempts[0]["traceback"]


def test_a_line_of_a_log_stands_among_the_others(client: TestClient, redis: Redis) -> None:
    id = client.post("/v1/jobs/log", json={"text": "x"}).json()["id"]
    line = {"t": 1_800_000_000, "level": "info", "attempt": 1, "logger": "jobs"}
    texts = ["first", "a" * keys.LOG_LINE_BYTES, "last"]
    redis.rpush(keys.LOGS + id, *(json.dumps({**line, "n": n, "text": text}) for n, text in enumerate(texts, 1)))
    redis.hset(keys.JOB + id, "errand_lines", "3 1")
    read_everywhere(client, id)
    items = client.get(f"/v1/jobs/{id}/logs").json()["items"]
    assert [item["number"] for item in items] == [1, 2, 3]
    assert re.fullmatch(r"\(a line of 131,\d\d\d bytes, which is too large to be shown\)", items[1]["text"])
    (rest,) = client.get(f"/v1/jobs/{id}/logs?after=2").json()["items"]
    assert rest["text"] == "last"


def test_events_show_it(client: TestClient, redis: Redis, stored: Stored) -> None:
    id = stored.finished().id
    put(redis, id, "return_value", b64encode(json.dumps("a" * keys.RESULT_BYTES).encode()))
    answer = client.get(f"/v1/jobs/{id}/events")
    assert answer.status_code == 200
    assert "UnreadableResult" in answer.text
