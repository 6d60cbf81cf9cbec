"""Jobs that are in no list: found, put back, and within a person's reach."""

import time
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Worker
from starlette.testclient import TestClient

from errand.worker.maintenance.lost_jobs import LostJobs
from errand.worker.records import Records
from tests.worker.scripts import build_records, read, take

LOST = ("queued", "scheduled", "deferred", "started")


def post(client: TestClient, query: str = "") -> str:
    return str(client.post(f"/v1/jobs/tally{query}", json={"number": 1}).json()["id"])


def lose(client: TestClient, redis: Redis, status: str) -> str:
    """Return the id of a job of that status that is in no list."""
    if status == "queued":
        id = post(client)
        redis.delete("rq:queue:default")
    elif status == "scheduled":
        id = post(client, "?delay_seconds=60")
        redis.delete("rq:scheduled:default")
    elif status == "deferred":
        id = post(client, f"?after={post(client)}")
        redis.delete("rq:deferred:default")
    else:
        id = post(client)
        (execution,) = take(build_records(redis, "gone"))
        assert execution.job_id == id
        redis.delete("errand:leases", "rq:wip:default", "rq:worker:gone:executions")
    assert read(redis, id, "status") == [status.encode()]
    return id


def look(redis: Redis) -> int:
    """Make two passes, as two hours do."""
    jobs = LostJobs(redis)
    return sum(jobs.run(pace_ms=0, pass_ms=0, between_looks_seconds=0) for _ in range(4))


def find_place(redis: Redis, id: str) -> str:
    if id.encode() in redis.lrange("rq:queue:default", 0, -1):
        return "queued"
    return next((name for name in ("scheduled", "deferred") if redis.zscore(f"rq:{name}:default", id) is not None), "")


@pytest.mark.parametrize("status", LOST)
def test_a_job_in_no_list_is_put_back(
    client: TestClient, redis: Redis, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    id = lose(client, redis, status)
    kept = set(redis.lrange("rq:queue:default", 0, -1))
    assert look(redis) == 1
    assert find_place(redis, id) == ("queued" if status == "started" else status)
    assert read(redis, id, "status") == [b"queued" if status == "started" else status.encode()]
    assert kept <= set(redis.lrange("rq:queue:default", 0, -1))
    assert f"Jobs that were in no list are back where they belong: 1 {status}" in caplog.text
    assert look(redis) == 0


def test_a_job_that_was_started_runs_again_and_loses_no_try(client: TestClient, redis: Redis) -> None:
    id = lose(client, redis, "started")
    look(redis)
    (execution,) = take(build_records(redis, "two"), prefix="f")
    assert (execution.job_id, read(redis, id, "errand_interruptions")) == (id, [b"1"])
    assert redis.zcard(f"rq:executions:{id}") == 1


def test_one_whose_schedule_was_wrong_goes_to_its_time(client: TestClient, redis: Redis) -> None:
    id = lose(client, redis, "scheduled")
    due = int(time.time()) + 500
    redis.hset(f"rq:job:{id}", "errand_due", due)
    look(redis)
    assert (redis.zscore("rq:scheduled:default", id), read(redis, id, "errand_due")) == (due, [None])


def test_what_is_where_it_belongs_stays_there(client: TestClient, redis: Redis, records: Records) -> None:
    running = post(client)
    assert [execution.job_id for execution in take(records)] == [running]
    front, first, parked = post(client, "?at_front=true"), post(client), post(client)
    redis.lrem("rq:queue:default", 0, parked)
    redis.zadd("errand:rated:default:tally", {parked: 1})
    delayed, child, limited = post(client, "?delay_seconds=60"), post(client, f"?after={first}"), []
    for _ in range(2):
        limited.append(post(client, "?concurrency_key=k&concurrency=1"))
    before = {id: read(redis, id, "status") for id in (running, front, first, parked, delayed, child, *limited)}
    order = redis.lrange("rq:queue:default", 0, -1)
    assert look(redis) == 0
    assert {id: read(redis, id, "status") for id in before} == before
    assert redis.lrange("rq:queue:default", 0, -1) == order


@pytest.mark.parametrize("place", ["intermediate", "execution"])
def test_what_a_plain_worker_has_is_its_own(client: TestClient, redis: Redis, place: str) -> None:
    id = post(client)
    queue = Queue("default", connection=redis, serializer="json")
    if place == "intermediate":
        redis.lmove("rq:queue:default", "rq:queue:default:intermediate")
    else:
        worker = Worker([queue], name="plain", connection=redis, serializer="json")
        job = queue.fetch_job(id)
        assert job
        queue.remove(job)
        worker.prepare_execution(job)
        worker.prepare_job_execution(job)
        redis.delete("rq:wip:default")
    before = read(redis, id, "status")
    assert look(redis) == 0
    assert read(redis, id, "status") == before


def test_one_that_is_gone_for_a_moment_is_not_put_back_at_once(client: TestClient, redis: Redis) -> None:
    lose(client, redis, "queued")
    jobs = LostJobs(redis)
    assert [jobs.run(pace_ms=0) for _ in range(5)] == [0] * 5
    assert redis.zcard("errand:lost") == 1


def test_a_pass_is_made_once_an_hour_by_one_of_all(client: TestClient, redis: Redis) -> None:
    assert LostJobs(redis).run(pace_ms=0) == 0
    lose(client, redis, "queued")
    assert LostJobs(redis).run(pace_ms=0) == 0
    assert not redis.exists("errand:lost")
    LostJobs(redis).run(pace_ms=0, pass_ms=0)
    assert redis.exists("errand:lost")


def test_a_job_behind_many_is_found_to_be_there(client: TestClient, redis: Redis) -> None:
    ids = [post(client) for _ in range(3)]
    redis.lpush("rq:queue:default", *(f"other{number}" for number in range(5000)))  # whose times nobody knows
    for id in ids:
        redis.hset(f"rq:job:{id}", "enqueued_at", "2020-01-01T00:00:00.000000Z")
    assert look(redis) == 0


@pytest.mark.parametrize("status", LOST)
@pytest.mark.parametrize("verb", ["requeue", "cancel", "delete"])
def test_it_can_be_dealt_with_by_hand(client: TestClient, redis: Redis, status: str, verb: str) -> None:
    id = lose(client, redis, status)
    if verb == "delete":
        assert client.delete(f"/v1/jobs/{id}").status_code == 204
        assert not redis.exists(f"rq:job:{id}", f"rq:executions:{id}")
        return
    answer: Any = client.post(f"/v1/jobs/{id}/{verb}")
    assert answer.status_code in (200, 202), answer.text
    if verb == "cancel":
        assert answer.json()["status"] == "canceled"
        assert not redis.exists(f"rq:executions:{id}")
    else:
        expected = "deferred" if status == "deferred" else "queued"
        assert (answer.json()["status"], find_place(redis, id)) == (expected, expected)


@pytest.mark.parametrize("query", ["", "?delay_seconds=60"])
def test_one_that_is_where_it_belongs_is_not_requeued(client: TestClient, redis: Redis, query: str) -> None:
    answer = client.post(f"/v1/jobs/{post(client, query)}/requeue")
    assert answer.status_code == 409
    assert redis.llen("rq:queue:default") == (0 if query else 1)
