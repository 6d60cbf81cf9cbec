"""The worker's scripts, called directly: jobs whose stop somebody asked for, and that end in another way first."""

import json

import pytest
from redis import Redis
from rq import Queue, Retry
from rq.registry import FailedJobRegistry

from errand.worker.execution import Task
from errand.worker.records import Records
from tests.worker.scripts import build_records, end_leases, enqueue, list_held, read, take, tell


def take_marked(redis: Redis, queue: Queue, records: Records) -> Task:
    """Take a job with tries left, and mark its execution as `cancel.lua` does."""
    enqueue(queue, retry=Retry(3))
    (task,) = take(records)
    redis.hset(f"rq:job:{task.id}", "errand_stop", f"other {task.execution}")
    return task


def assert_stopped(redis: Redis, task: Task) -> None:
    status, error, left = read(redis, task.id, "status", "errand_error", "retries_left")
    assert (status, json.loads(error or b"{}")["type"], left) == (b"stopped", "JobStopped", b"3")
    assert redis.llen("rq:queue:default") == redis.zcard("rq:scheduled:default") == 0
    assert task.id in FailedJobRegistry("default", redis)
    assert list_held(redis) == []


@pytest.mark.parametrize("kind", ["failed", "stopped", "interrupted"])
def test_one_that_fails_or_is_handed_back_is_stopped(redis: Redis, queue: Queue, records: Records, kind: str) -> None:
    task = take_marked(redis, queue, records)
    assert tell(records, kind, task) in ("stopped", "interrupted")
    assert_stopped(redis, task)


@pytest.mark.parametrize("why", ["lost", "interrupted"])
def test_one_whose_process_is_gone_is_stopped(redis: Redis, queue: Queue, records: Records, why: str) -> None:
    task = take_marked(redis, queue, records)
    assert records.release(why) == [(task.member, "stopped")]
    assert_stopped(redis, task)


def test_one_whose_worker_died_is_stopped(redis: Redis, queue: Queue, records: Records) -> None:
    task = take_marked(redis, queue, records)
    end_leases(redis)
    assert build_records(redis, "two").recover() == [(task.member, "stopped")]
    assert_stopped(redis, task)


def test_one_that_finishes_has_finished(redis: Redis, queue: Queue, records: Records) -> None:
    task = take_marked(redis, queue, records)
    assert tell(records, "finished", task) == "finished"


def test_the_mark_is_about_one_execution(redis: Redis, queue: Queue, records: Records) -> None:
    task = take_marked(redis, queue, records)
    redis.hset(f"rq:job:{task.id}", "errand_stop", "another")
    assert tell(records, "failed", task) == "queued"
    assert read(redis, task.id, "retries_left") == [b"2"]


def test_the_slot_of_a_stopped_job_is_free(redis: Redis, queue: Queue, records: Records) -> None:
    task = take_marked(redis, queue, records)
    redis.hset(f"rq:job:{task.id}", mapping={"rate_limit_key": "k", "rate_limit_concurrency": 1})
    redis.zadd("rq:rl:k:allowed", {task.id: 1})
    records.release("lost")
    assert redis.zcard("rq:rl:k:allowed") == 0
