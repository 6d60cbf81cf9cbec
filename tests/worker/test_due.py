"""Moving due jobs."""

import threading
import time
from datetime import timedelta

import pytest
from redis import Redis
from rq import Queue
from rq.scheduler import RQScheduler

from errand.worker.maintenance.due import DueJobs
from tests.support.waiting import wait_until


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


def test_a_due_job_goes_where_it_was_asked_to_go(redis: Redis, queue: Queue) -> None:
    (waiting,), (front,) = schedule(queue, 1, time.time() - 2), schedule(queue, 1, time.time() - 1)
    redis.hset(b"rq:job:" + front, mapping={"enqueue_at_front": "1", "origin": "elsewhere"})
    redis.delete("rq:queues")
    DueJobs(redis, [queue]).move()
    assert redis.lrange("rq:queue:log", 0, -1) == [front, waiting]
    assert redis.hget(b"rq:job:" + front, "origin") == b"log"
    assert redis.smembers("rq:queues") == {b"rq:queue:log"}


def test_a_due_job_wakes_the_idle(redis: Redis, queue: Queue) -> None:
    schedule(queue, 1, time.time() - 1)
    with redis.pubsub() as listener:
        listener.subscribe("errand:work")
        listener.get_message(timeout=1)
        DueJobs(redis, [queue]).move()
        message = listener.get_message(timeout=1)
        assert message
        assert message["data"] == b"log"


def test_a_plain_schedulers_lock_is_taken_over_with_time_for_it_to_notice(redis: Redis, queue: Queue) -> None:
    schedule(queue, 1, time.time() - 1)
    redis.set("rq:scheduler-lock:log", "somebody", ex=61)
    due = DueJobs(redis, [queue])
    asked_at = time.monotonic()
    assert due.move() == 0
    assert redis.get("rq:scheduler-lock:log") == b"errand"
    wait_until(due.move, 5)
    assert time.monotonic() - asked_at >= 1.4


def test_the_lock_is_held_while_nothing_is_due(redis: Redis, queue: Queue) -> None:
    DueJobs(redis, [queue]).move()
    scheduler = RQScheduler([queue], connection=redis)
    assert scheduler.acquire_locks() == set()
    assert redis.ttl("rq:scheduler-lock:log") in (4, 5)


def test_more_than_one_script_moves_at_once_are_all_moved(redis: Redis, queue: Queue) -> None:
    redis.zadd("rq:scheduled:log", {f"id{number}": 1 for number in range(2500)})
    assert DueJobs(redis, [queue]).move() == 2500


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
