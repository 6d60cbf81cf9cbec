"""Moving due jobs."""

import threading
import time
from datetime import timedelta

import pytest
from redis import Redis
from rq import Queue

from service.worker.due import DueJobs


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue("log", connection=redis, serializer="json")


def schedule(queue: Queue, count: int, at: float) -> list[bytes]:
    """Schedule as RQ's retry does; return the ids."""
    ids = []
    for _ in range(count):
        job = queue.enqueue_in(timedelta(days=1), "jobs.log.run.perform", text="x")
        queue.connection.zadd("rq:scheduled:log", {job.id: at})
        ids.append(job.id.encode())
    return ids


def test_due_jobs_are_queued_and_others_left(redis: Redis, queue: Queue) -> None:
    due = schedule(queue, 2, time.time() - 1)
    later = schedule(queue, 1, time.time() + 60)
    assert DueJobs(redis, [queue]).move() == 2
    assert sorted(redis.lrange("rq:queue:log", 0, -1)) == sorted(due)
    assert redis.zrange("rq:scheduled:log", 0, -1) == later
    assert redis.hget(b"rq:job:" + due[0], "status") == b"queued"


def test_a_plain_scheduler_that_holds_the_lock_is_left_alone(redis: Redis, queue: Queue) -> None:
    schedule(queue, 1, time.time() - 1)
    redis.set("rq:scheduler-lock:log", "somebody")
    assert DueJobs(redis, [queue]).move() == 0
    redis.delete("rq:scheduler-lock:log")
    assert DueJobs(redis, [queue]).move() == 1


def test_a_deleted_job_is_only_taken_off_the_schedule(redis: Redis, queue: Queue) -> None:
    (id,) = schedule(queue, 1, time.time() - 1)
    redis.delete(b"rq:job:" + id)
    DueJobs(redis, [queue]).move()
    assert (redis.llen("rq:queue:log"), redis.zcard("rq:scheduled:log")) == (0, 0)
    assert not redis.exists(b"rq:job:" + id)


def test_twenty_movers_at_once_queue_each_job_once(redis: Redis, queue: Queue) -> None:
    due = schedule(queue, 200, time.time() - 1)
    movers = [threading.Thread(target=DueJobs(redis, [queue]).move) for _ in range(20)]
    for mover in movers:
        mover.start()
    for mover in movers:
        mover.join()
    assert sorted(redis.lrange("rq:queue:log", 0, -1)) == sorted(due)
