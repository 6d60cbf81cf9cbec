"""What is written down of attempts that did not succeed, and which jobs wait for another try."""

import json
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Retry

from errand.redis import keys
from errand.worker.attempt import describe_failure
from errand.worker.execution import Execution
from errand.worker.maintenance.sweep import Sweep
from errand.worker.records import Records
from tests.worker.scripts import end_leases, enqueue, read, send_report, take


def list_attempts(redis: Redis, id: str) -> dict[int, dict[str, Any]]:
    return {int(number): json.loads(text) for number, text in redis.hgetall(keys.ATTEMPTS + id).items()}


def fail(records: Records, execution: Execution, message: str = "no") -> str:
    try:
        raise ValueError(message)
    except ValueError as error:
        (answer,) = records.exchange([describe_failure(execution, error)._replace(frame="jobs/x.py:7 in run")]).answers
    return answer


def test_a_failure_is_written_down_before_its_retry_and_at_the_end(
    redis: Redis, queue: Queue, records: Records
) -> None:
    (id,) = enqueue(queue, retry=Retry(1))
    fail(records, take(records)[0], "first")
    assert fail(records, take(records)[0], "second") == "failed"
    first, second = list_attempts(redis, id)[1], list_attempts(redis, id)[2]
    assert [one["error"]["message"] for one in (first, second)] == ["first", "second"]
    assert {one["outcome"] for one in (first, second)} == {"failed"}
    assert (first["worker"], first["frame"]) == ("one", "jobs/x.py:7 in run")
    assert first["started"] < first["ended"] <= second["started"]
    assert read(redis, id, "errand_frame") == [b"jobs/x.py:7 in run"]


def test_an_attempt_that_succeeds_leaves_nothing(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue)
    send_report(records, "finished", take(records)[0])
    assert not redis.keys("errand:attempts:*")
    assert not redis.exists(keys.NOTES)


def test_interruptions_losses_and_stops_are_written_down(redis: Redis, queue: Queue, records: Records) -> None:
    (id,) = enqueue(queue)
    take(records)
    records.leases.release("interrupted")
    for number in range(2):
        take(records, 1, f"loss{number}")
        end_leases(redis)
        records.leases.recover()
    send_report(records, "stopped", take(records, 1, "stop")[0])
    attempts = list_attempts(redis, id)
    assert [attempts[number]["outcome"] for number in sorted(attempts)] == ["interrupted", "lost", "lost", "stopped"]
    assert [attempts[number]["error"] and attempts[number]["error"]["type"] for number in sorted(attempts)] == [
        None,
        "Lost",
        "Lost",
        "JobStopped",
    ]
    assert all(attempt["started"] < attempt["ended"] for attempt in attempts.values())


def test_of_many_attempts_the_first_and_the_last_are_kept(redis: Redis, queue: Queue, records: Records) -> None:
    (id,) = enqueue(queue, retry=Retry(60))
    for number in range(53):
        fail(records, take(records, 1, f"e{number}-")[0])
    assert sorted(list_attempts(redis, id)) == [1, *range(5, 54)]


def test_equal_tracebacks_are_stored_once(redis: Redis, queue: Queue, records: Records) -> None:
    ids = enqueue(queue, 2)
    for execution in take(records, 2):
        fail(records, execution)
    (trace,) = redis.keys("errand:trace:*")
    assert {list_attempts(redis, id)[1]["trace"] for id in ids} == {trace.decode().removeprefix(keys.TRACE)}
    assert int(redis.hget(keys.NOTES_BYTES, "total") or 0) == len(trace) + redis.strlen(trace)


def test_tracebacks_have_a_tenth_of_the_memory_and_the_oldest_goes_first(
    redis: Redis, queue: Queue, records: Records
) -> None:
    (id,) = enqueue(queue, retry=Retry(10))
    limit = redis.info("memory")["used_memory"] * 2
    redis.config_set("maxmemory", limit)
    try:
        for number in range(3):
            send_report(records, "failed", take(records, 1, f"e{number}-")[0], str(number) * (limit // 22))
    finally:
        redis.config_set("maxmemory", 0)
    left = [redis.get(key) for key in redis.keys("errand:trace:*")]
    assert {text[:1] for text in left if text} == {b"1", b"2"}
    assert int(redis.hget(keys.NOTES_BYTES, "total") or 0) <= limit / 10
    assert len(list_attempts(redis, id)) == 3


def test_a_full_redis_takes_the_end_and_no_note(redis: Redis, queue: Queue, records: Records) -> None:
    (id,) = enqueue(queue)
    (execution,) = take(records)
    redis.config_set("maxmemory", 1)
    try:
        assert fail(records, execution) == "failed"
    finally:
        redis.config_set("maxmemory", 0)
    assert list_attempts(redis, id) == {}


@pytest.mark.parametrize("taken", [True, False])
def test_a_job_waits_for_its_retry_until_it_is_taken(redis: Redis, queue: Queue, records: Records, taken: bool) -> None:
    (id,) = enqueue(queue, retry=Retry(1, interval=0 if taken else 60))
    fail(records, take(records)[0])
    assert redis.zrange(f"{keys.RETRYING_JOBS}default", 0, -1) == [id.encode()]
    assert redis.smembers(keys.RETRYING) == {f"{keys.RETRYING_JOBS}default".encode()}
    if taken:
        take(records, 1, "again")
    assert redis.zcard(f"{keys.RETRYING_JOBS}default") == int(not taken)


def test_notes_that_have_expired_are_no_more_counted(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue)
    fail(records, take(records)[0])
    redis.delete(*redis.keys("errand:trace:*"))
    Sweep(redis).run(pace_ms=0)
    assert not redis.exists(keys.NOTES, keys.NOTES_BYTES)
