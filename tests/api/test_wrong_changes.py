"""A key of a wrong type under a requeue, a cancel or a deletion: it is done, and no job is lost."""

import pytest
from redis import Redis
from starlette.testclient import TestClient

from tests.store.wrong import spoil

REGISTRIES = tuple(f"rq:{name}:default" for name in ("failed", "canceled", "finished", "scheduled", "deferred"))
KEYS = ("rq:queue:default", *REGISTRIES, "errand:expires", "errand:leases", "errand:settling", "errand:tag:a")


def post(client: TestClient, query: str = "") -> str:
    answer = client.post(f"/v1/jobs/tally{query}", json={"number": 1})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def fail(redis: Redis, id: str) -> None:
    redis.hset(f"rq:job:{id}", mapping={"status": "failed", "errand_expires_at": "2026-11-29T12:00:00Z"})
    redis.lrem("rq:queue:default", 0, id)
    redis.zadd("rq:failed:default", {id: 4_000_000_000})


def read_status(redis: Redis, id: str) -> str:
    return (redis.hget(f"rq:job:{id}", "status") or b"gone").decode()


def is_on_its_way(redis: Redis, id: str) -> bool:
    """Return whether a job is where its status says."""
    status = read_status(redis, id)
    if status == "queued":
        return id.encode() in redis.lrange("rq:queue:default", 0, -1)
    noted = redis.hexists(f"rq:job:{id}", "errand_due")  # where the schedule is wrong
    return status == "scheduled" and (noted or redis.zscore("rq:scheduled:default", id) is not None)


@pytest.mark.parametrize("key", KEYS)
def test_a_failed_job_is_requeued(client: TestClient, redis: Redis, key: str) -> None:
    id = post(client, "?tag=a")
    fail(redis, id)
    spoil(redis, key)
    assert client.post(f"/v1/jobs/{id}/requeue").status_code == 202
    assert is_on_its_way(redis, id)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("query", ["", "&delay_seconds=60", "&expires_in_seconds=60"])
def test_a_job_that_waits_is_canceled(client: TestClient, redis: Redis, key: str, query: str) -> None:
    id = post(client, f"?tag=a{query}")
    child = post(client, f"?after={id}")
    spoil(redis, key)
    answer = client.post(f"/v1/jobs/{id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert read_status(redis, child) == "canceled"


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("has_failed", [False, True])
def test_a_job_that_does_not_run_is_deleted(client: TestClient, redis: Redis, key: str, has_failed: bool) -> None:
    id = post(client, "?tag=a")
    child = post(client, f"?after={id}")
    if has_failed:
        fail(redis, id)
    spoil(redis, key)
    assert client.delete(f"/v1/jobs/{id}").status_code == 204
    assert (read_status(redis, id), read_status(redis, child)) == ("gone", "canceled")


def test_more_dependents_than_one_step_settles_wait_for_the_sweep_without_notes(
    client: TestClient, redis: Redis
) -> None:
    id = post(client)
    batch = client.post(f"/v1/batches/tally?after={id}", json={"items": [{"number": n} for n in range(300)]})
    assert batch.status_code == 202
    spoil(redis, "errand:settling")
    assert client.post(f"/v1/jobs/{id}/cancel").json()["status"] == "canceled"
    assert redis.scard(f"rq:job:{id}:dependents") == 300
    assert redis.ttl(f"rq:job:{id}") == -1


def test_what_reads_a_key_of_a_wrong_type_says_nothing_of_storing(client: TestClient, redis: Redis) -> None:
    spoil(redis, "errand:schedules")
    answer = client.get("/v1/schedules")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem-type:errand:redis-wrong-type")
    assert "stored" not in answer.json()["detail"]
