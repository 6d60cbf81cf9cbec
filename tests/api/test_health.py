"""/readyz: each part of the service, and degraded only where something waits for one."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient

from errand.api.http.auth import make_key
from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from tests.api.test_why import add_worker, park, post
from tests.store.wrong import spoil
from tests.support.connectors import create_app
from tests.support.job_types import TYPES

SECRET, ENTRY = make_key("ops")


def ask(client: TestClient, **headers: str) -> dict[str, Any]:
    answer = client.get("/readyz", headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def list_bad(client: TestClient, *but: str) -> dict[str, str]:
    """Return the parts that are not ok, less those of a test's own server."""
    found = ask(client)
    bad = {name: part["status"] for name, part in found["parts"].items() if part["status"] != "ok"}
    assert (found["status"] == "degraded") == ("degraded" in bad.values())
    return {name: status for name, status in bad.items() if name != "durability"}


def hold(redis: Redis, reason: str) -> None:
    redis.hset("errand:held:log:any", mapping={"since": "2026-11-23T14:17:21.698000Z", "reason": reason})
    redis.sadd("errand:held", "log:any")


def test_without_workers_it_is_ok_until_jobs_wait_for_them(client: TestClient, redis: Redis) -> None:
    assert list_bad(client) == {"workers": "warning"}
    assert ask(client)["parts"]["workers"] == {
        "status": "warning",
        "live": 0,
        "queues_without": ["default", "email", "log", "webhook"],
        "types_without": ["email", "log", "tally", "webhook"],
        "waiting_without": [],
    }
    post(client)
    assert list_bad(client) == {"workers": "degraded"}
    parts = ask(client)["parts"]
    assert parts["workers"]["waiting_without"] == ["log"]
    assert parts["oldest"]["queue"] == "log"
    assert 0 <= parts["oldest"]["seconds"] < 20
    add_worker(redis, queues="default,email,log,webhook", state="busy")
    assert list_bad(client) == {}


def test_a_type_that_no_worker_has_is_shown(client: TestClient, redis: Redis) -> None:
    add_worker(redis, queues="default,email,log,webhook", email="0" * 12, tally="0" * 12, webhook="0" * 12)
    assert list_bad(client) == {"workers": "warning"}
    park(redis, post(client), "errand:parked:log:log:")
    assert list_bad(client) == {"workers": "degraded"}
    assert ask(client)["parts"]["workers"]["types_without"] == ["log"]


def test_a_schedule_that_is_late_is_shown(client: TestClient, redis: Redis) -> None:
    add_worker(redis, queues="default,email,log,webhook")
    redis.zadd("errand:schedules", {"paused": "+inf", "soon": time.time() + 60})
    assert list_bad(client) == {}
    redis.zadd("errand:schedules", {"late": time.time() - 100})
    assert list_bad(client) == {"schedules": "degraded"}
    assert ask(client)["parts"]["schedules"]["late_seconds"] >= 99


@pytest.fixture
def keyed(queue_settings: QueueSettings) -> Iterator[TestClient]:
    app = create_app(ApiSettings(API_KEYS=ENTRY), queue_settings, TYPES)
    with TestClient(app, base_url="https://errand.example.com") as client:
        yield client


def test_why_a_type_is_held_is_shown_to_those_with_a_key(keyed: TestClient, redis: Redis) -> None:
    hold(redis, "mail.internal:587 refuses the connection")
    for header in ({}, {"Authorization": "Bearer wrong"}):
        answer = keyed.get("/readyz", headers=header)
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert "internal" not in answer.text
    (held,) = ask(keyed, Authorization=f"Bearer {SECRET}")["held"]
    assert held["reason"] == "mail.internal:587 refuses the connection"


def test_damaged_records_hide_nothing(client: TestClient, redis: Redis) -> None:
    for key in ("errand:held", "errand:parked", "errand:schedules", "rq:workers", "rq:queue:log"):
        redis.set(key, "?")
    assert list_bad(client) == {"workers": "warning", "keys": "degraded"}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        *(("rq:queue:log", "list"), ("rq:wip:log", "zset"), ("errand:leases", "zset"), ("errand:rates", "hash")),
        *(("errand:paused", "set"), ("rq:workers", "set"), ("rq:queues", "set"), ("errand:schedules", "zset")),
        *(("errand:held", "set"), ("errand:indexes", "zset"), ("errand:parked", "set"), ("errand:bodies", "hash")),
    ],
)
def test_a_key_of_a_wrong_type_is_named_with_what_to_do(
    client: TestClient, redis: Redis, key: str, expected: str
) -> None:
    add_worker(redis, queues="default,email,log,webhook", state="busy")
    assert "keys" not in list_bad(client)
    spoil(redis, key)
    assert list_bad(client)["keys"] == "degraded"
    remedy = f"look at it, then move it away: RENAME {key} wrong:{key}"
    found_wrong = {"key": key, "type": "string", "expected": expected, "remedy": remedy}
    assert ask(client)["parts"]["keys"] == {"status": "degraded", "count": 1, "wrong": [found_wrong]}
    redis.rename(key, f"wrong:{key}")
    assert "keys" not in list_bad(client)


def test_without_a_key_only_the_number_of_wrong_keys_is_shown(redis: Redis, queue_settings: QueueSettings) -> None:
    spoil(redis, "errand:rates")
    app = create_app(ApiSettings(API_KEYS=ENTRY), queue_settings, TYPES)
    with TestClient(app, base_url="http://localhost") as client:
        assert ask(client)["parts"]["keys"] == {"status": "degraded", "count": 1, "wrong": []}
        (found_wrong,) = ask(client, Authorization=f"Bearer {SECRET}")["parts"]["keys"]["wrong"]
    assert found_wrong["key"] == "errand:rates"
