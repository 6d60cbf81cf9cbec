"""The worker's scripts, called directly: jobs whose stop somebody asked for, and that end in another way first."""

import json

import pytest
from redis import Redis
from rq import Queue, Retry
from rq.registry import FailedJobRegistry

from errand.worker.execution import Execution
from errand.worker.records import Records
from tests.worker.scripts import build_records, end_leases, enqueue, list_held, read, send_report, take


def take_to_stop(redis: Redis, queue: Queue, records: Records) -> Execution:
    """Take a job with tries left, and mark its execution as `cancel.lua` does."""
    enqueue(queue, retry=Retry(3))
    (execution,) = take(records)
    redis.hset(f"rq:job:{execution.job_id}", "errand_stop", f"other {execution.id}")
    return execution


def assert_stopped(redis: Redis, execution: Execution) -> None:
    status, error, left = read(redis, execution.job_id, "status", "errand_error", "retries_left")
    assert (status, json.loads(error or b"{}")["type"], left) == (b"stopped", "JobStopped", b"3")
    assert redis.llen("rq:queue:default") == redis.zcard("rq:scheduled:default") == 0
    assert execution.job_id in FailedJobRegistry("default", redis)
    assert list_held(redis) == []


@pytest.mark.parametrize("kind", ["failed", "stopped", "interrupted"])
def test_one_that_fails_or_is_handed_back_is_stopped(redis: Redis, queue: Queue, records: Records, kind: str) -> None:
    execution = take_to_stop(redis, queue, records)
    assert send_report(records, kind, execution) in ("stopped", "interrupted")
    assert_stopped(redis, execution)


@pytest.mark.parametrize("why", ["lost", "interrupted"])
def test_one_whose_process_is_gone_is_stopped(redis: Redis, queue: Queue, records: Records, why: str) -> None:
    execution = take_to_stop(redis, queue, records)
    assert records.leases.release(why) == [(execution.member, "stopped")]
    assert_stopped(redis, execution)


def test_one_whose_worker_died_is_stopped(redis: Redis, queue: Queue, records: Records) -> None:
    execution = take_to_stop(redis, queue, records)
    end_leases(redis)
    assert build_records(redis, "two").leases.recover() == [(execution.member, "stopped")]
    assert_stopped(redis, execution)


def test_one_that_finishes_has_finished(redis: Redis, queue: Queue, records: Records) -> None:
    execution = take_to_stop(redis, queue, records)
    assert send_report(records, "finished", execution) == "finished"


def test_a_stop_is_about_one_execution(redis: Redis, queue: Queue, records: Records) -> None:
    execution = take_to_stop(redis, queue, records)
    redis.hset(f"rq:job:{execution.job_id}", "errand_stop", "another")
    assert send_report(records, "failed", execution) == "queued"
    assert read(redis, execution.job_id, "retries_left") == [b"2"]


def test_the_slot_of_a_stopped_job_is_free(redis: Redis, queue: Queue, records: Records) -> None:
    execution = take_to_stop(redis, queue, records)
    redis.hset(f"rq:job:{execution.job_id}", mapping={"rate_limit_key": "k", "rate_limit_concurrency": 1})
    redis.zadd("rq:rl:k:allowed", {execution.job_id: 1})
    records.leases.release("lost")
    assert redis.zcard("rq:rl:k:allowed") == 0
