"""Counts that outlive the jobs."""

from redis import Redis
from starlette.testclient import TestClient


def post_batch(client: TestClient, count: int) -> tuple[str, list[str]]:
    answer = client.post("/v1/batches/log", json={"items": [{"text": "x"}] * count}).json()
    return answer["links"]["self"], [job["id"] for job in answer["jobs"]]


def test_the_counts_follow_the_jobs(client: TestClient, redis: Redis) -> None:
    link, ids = post_batch(client, 4)
    for id, status in zip(ids, ("finished", "failed", "started"), strict=False):
        redis.hset(f"rq:job:{id}", "status", status)
    batch = client.get(link).json()
    assert (batch["finished"], batch["failed"], batch["started"], batch["queued"]) == (1, 1, 1, 1)
    assert (batch["total"], batch["percent"]) == (4, 50)


def test_a_job_that_expired_after_it_was_read_keeps_its_place(client: TestClient, redis: Redis) -> None:
    link, ids = post_batch(client, 2)
    redis.hset(f"rq:job:{ids[0]}", "status", "failed")
    before = client.get(link).json()
    redis.delete(f"rq:job:{ids[0]}")
    assert client.get(link).json() == before


def test_a_job_that_finished_and_expired_unread_counts_as_finished(client: TestClient, redis: Redis) -> None:
    link, ids = post_batch(client, 2)
    batch = link.rpartition("/")[2]
    redis.hset(f"errand:batch:{batch}", ids[0], "finished")  # as the attempt itself notes it
    redis.delete(f"rq:job:{ids[0]}")
    assert client.get(link).json()["finished"] == 1


def test_a_requeued_job_counts_as_what_it_is_now(client: TestClient, redis: Redis) -> None:
    link, ids = post_batch(client, 1)
    redis.hset(f"rq:job:{ids[0]}", "status", "failed")
    assert client.get(link).json()["percent"] == 100
    redis.hset(f"rq:job:{ids[0]}", "status", "queued")
    assert client.get(link).json()["percent"] == 0


def test_a_job_that_somebody_deleted_counts_as_deleted(client: TestClient, redis: Redis) -> None:
    link, ids = post_batch(client, 2)
    redis.delete(f"rq:job:{ids[0]}")
    batch = client.get(link).json()
    assert (batch["deleted"], batch["total"], batch["percent"]) == (1, 2, 50)


def test_the_record_is_kept_as_long_as_failures_are(client: TestClient, redis: Redis) -> None:
    link, _ = post_batch(client, 1)
    key = f"errand:batch:{link.rpartition('/')[2]}"
    assert redis.ttl(key) == 30 * 24 * 3600


def test_a_delayed_batchs_record_outlives_its_delay(client: TestClient, redis: Redis) -> None:
    query = f"?delay_seconds={365 * 24 * 3600}"
    answer = client.post(f"/v1/batches/log{query}", json={"items": [{"text": "x"}]}).json()
    assert redis.ttl(f"errand:batch:{answer['id']}") >= 395 * 24 * 3600 - 1


def test_reading_a_batch_keeps_its_record(client: TestClient, redis: Redis) -> None:
    link, _ = post_batch(client, 1)
    key = f"errand:batch:{link.rpartition('/')[2]}"
    redis.expire(key, 60)
    client.get(link)
    assert redis.ttl(key) == 30 * 24 * 3600
