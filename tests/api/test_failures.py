"""/v1/dead-letters/groups: what failed, as a whole."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter
from redis import Redis
from rq import Queue, SimpleWorker
from starlette.testclient import TestClient

from errand.api.routes.failures import FailureGroupsView
from errand.store.observe import failures
from tests.api.test_dead_letters import at, fail, list_ids, post, read_statuses

FRAME = "jobs/sms.py:12 in send"
SHOWN_AT = "2026-05-01T00:00:{:02d}.000000Z"


def let_retry(redis: Redis, id: str, second: int = 0, **more: Any) -> str:
    """Let a job have failed and wait for its next try."""
    fail(redis, id, second, **more)
    queue = redis.hget(f"rq:job:{id}", "origin").decode()
    redis.hset(f"rq:job:{id}", "status", "scheduled")
    redis.zrem(f"rq:failed:{queue}", id)
    redis.zadd(f"errand:retrying:{queue}", {id: second * 1000})
    redis.sadd("errand:retrying", f"errand:retrying:{queue}")
    return id


def read(client: TestClient, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/v1/dead-letters/groups{query}")
    assert answer.status_code == 200, answer.text
    TypeAdapter(FailureGroupsView).validate_python(answer.json(), extra="forbid")
    return dict(answer.json())


def test_failed_and_retrying_jobs_are_counted_by_type_error_and_own_frame(client: TestClient, redis: Redis) -> None:
    fail(redis, post(client), 10, errand_frame=FRAME)
    newest = let_retry(redis, post(client), 30, error=("ValueError", "newest"), errand_frame="jobs/sms.py:14 in send")
    fail(redis, post(client), 20, errand_frame=FRAME)
    fail(redis, post(client), 20, errand_frame="jobs/sms.py:12 in run")
    fail(redis, post(client), 20, error=("KeyError", "x"), errand_frame=FRAME)
    fail(redis, post(client, "tally"), 20, errand_frame=FRAME)
    found = read(client)
    (first, *others) = found.pop("items")
    assert found == {"groups": 4, "scanned": 6, "total": 6, "complete": True}
    assert len(first.pop("fingerprint")) == 12
    assert first == {
        "type": "log",
        "error": {"type": "ValueError", "message": "newest"},
        "frame": "jobs/sms.py:14 in send",
        "count": 3,
        "failed": 2,
        "retrying": 1,
        "first_at": SHOWN_AT.format(10),
        "last_at": SHOWN_AT.format(30),
        "example": newest,
    }
    assert [group["count"] for group in others] == [1, 1, 1]


def test_type_queue_and_limit_count(client: TestClient, redis: Redis) -> None:
    fail(redis, post(client)), fail(redis, post(client)), let_retry(redis, post(client, "tally"))
    assert [group["type"] for group in read(client, "?type=tally")["items"]] == ["tally"]
    assert [group["type"] for group in read(client, "?queue=log")["items"]] == ["log"]
    found = read(client, "?limit=1")
    assert ([group["count"] for group in found["items"]], found["groups"]) == ([2], 2)


def test_what_has_not_failed_or_runs_again_is_in_none(client: TestClient, redis: Redis) -> None:
    fail(redis, post(client), status="stopped")
    stale = let_retry(redis, post(client))
    redis.hset(f"rq:job:{stale}", "status", "started")
    redis.zadd("rq:failed:log", {"gone": 1})
    assert (read(client)["items"], read(client)["scanned"]) == ([], 3)
    redis.set("rq:failed:default", "no set")
    redis.sadd("rq:queues", "rq:queue:default")
    assert read(client)["items"] == []


def test_the_scan_is_bounded_takes_the_newest_and_says_how_far_it_went(
    client: TestClient, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "MOST", 5)
    monkeypatch.setattr(failures, "PAGE", 2)
    for second in range(6):
        fail(redis, post(client), second)
    fail(redis, post(client, "tally"))
    found = read(client)
    assert (found["scanned"], found["total"], found["complete"]) == (5, 7, False)
    log, tally = found["items"]
    assert (log["count"], log["first_at"], log["last_at"]) == (4, SHOWN_AT.format(2), SHOWN_AT.format(5))
    assert tally["count"] == 1


def test_a_failure_that_rq_alone_recorded_shows_what_rq_kept(client: TestClient, redis: Redis) -> None:
    queue = Queue("log", connection=redis, serializer="json")
    job = queue.enqueue("builtins.int", "x")
    SimpleWorker([queue], connection=redis, serializer="json").work(burst=True)
    (group,) = read(client)["items"]
    assert (group["example"], group["error"]["type"], group["frame"]) == (job.id, "ValueError", None)
    assert list_ids(client, f"?fingerprint={group['fingerprint']}") == [job.id]


def test_a_group_is_listed_requeued_and_deleted_by_its_fingerprint(client: TestClient, redis: Redis) -> None:
    ids = [fail(redis, post(client), number, errand_frame=f"jobs/sms.py:{number} in send") for number in range(3)]
    other = fail(redis, post(client), error=("KeyError", "x"))
    retrying = let_retry(redis, post(client), errand_frame=FRAME)
    group = read(client)["items"][0]
    assert (group["failed"], group["retrying"]) == (3, 1)
    query = f"?fingerprint={group['fingerprint']}"
    assert list_ids(client, query) == ids[::-1]
    left = [{"id": retrying, "detail": "it is tried again by itself; cancel it first"}]
    dry = client.post(f"/v1/dead-letters/requeue{query}&dry_run=true").json()
    assert dry == {"dry_run": True, "requeued": 3, "ids": ids, "left": left}
    done = client.post(f"/v1/dead-letters/requeue{query}&failed_before={at(2)}").json()
    assert (done["requeued"], done["ids"], done["left"]) == (2, ids[:2], left)
    done = client.post(f"/v1/dead-letters/delete{query}").json()
    assert (done["deleted"], done["ids"]) == (1, [ids[2]])
    assert read_statuses(client, [*ids, other, retrying]) == ["queued", "queued", 404, "failed", "scheduled"]


def test_an_error_that_can_not_be_read_counts_as_none(client: TestClient, redis: Redis) -> None:
    for stored in ("[]", "{", "7", json.dumps({"type": None})):
        redis.hset(f"rq:job:{fail(redis, post(client))}", "errand_error", stored)
    assert sum(group["count"] for group in read(client)["items"]) == 4


def test_the_failures_of_a_batch_alone(client: TestClient, redis: Redis) -> None:
    answer = client.post("/v1/batches/log", json={"items": [{"text": "x"}] * 4}).json()
    ids = [job["id"] for job in answer["jobs"]]
    fail(redis, ids[0], 10, errand_frame=FRAME)
    let_retry(redis, ids[1], 20, errand_frame=FRAME)
    fail(redis, post(client), 30, errand_frame=FRAME)
    found = read(client, f"?batch={answer['id']}")
    (group,) = found["items"]
    assert (group["failed"], group["retrying"], group["example"]) == (1, 1, ids[1])
    assert (found["groups"], found["scanned"], found["complete"]) == (1, 2, True)
    assert client.get(f"/v1/dead-letters/groups?batch={answer['id']}&type=log").status_code == 422
