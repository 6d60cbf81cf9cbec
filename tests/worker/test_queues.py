"""Which queue's job comes next."""

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job

from errand.worker.execution import Execution
from errand.worker.served import ServedQueues
from tests.support.services import Services

NAMES = ("default", "email", "log", "video")


def fill(redis: Redis, count: int = 6) -> None:
    for name in NAMES:
        for number in range(count):
            Queue(name, connection=redis, serializer="json").enqueue_call(
                "jobs.echo.run.perform", job_id=f"{name}-{number}", result_ttl=500
            )


def run(services: Services, redis: Redis, *options: str) -> list[str]:
    """Run all jobs, one at a time; return their queues in the order in which they started."""
    assert services.start_worker("--burst", *options, WORKER_THREADS="1").wait(30) == 0
    ids = [id.decode() for name in NAMES for id in redis.zrange(f"rq:finished:{name}", 0, -1)]
    jobs = Job.fetch_many(ids, connection=redis, serializer="json")
    return [job.origin for job in sorted(jobs, key=lambda job: job.started_at) if job]


@pytest.mark.quick
def test_without_names_the_queues_are_served_in_turn(services: Services, redis: Redis) -> None:
    fill(redis)
    order = run(services, redis)
    assert len(order) == 24
    assert all(set(order[start : start + 4]) == set(NAMES) for start in range(0, 24, 4))


def test_the_queue_after_an_empty_one_is_not_served_twice() -> None:
    queues = ServedQueues(["a", "b", "c", "d"], in_turn=True)
    for taken, first in (["b"], 3), ([], 3), (["d"], 1), (["a", "b", "d", "a"], 2), (["elsewhere"], 2):
        queues.rotate([Execution("id", "execution", name, b"", 1.0, "", "", "", 0, "", 0.0) for name in taken])
        assert queues.first == first


@pytest.mark.quick
def test_named_queues_are_emptied_in_their_order(services: Services, redis: Redis) -> None:
    fill(redis, 3)
    assert run(services, redis, "log", "default", "email") == ["log"] * 3 + ["default"] * 3 + ["email"] * 3


def test_named_queues_are_served_in_turn_where_that_is_asked_for(services: Services, redis: Redis) -> None:
    fill(redis, 2)
    order = run(services, redis, "--dequeue-strategy", "round_robin", "log", "default")
    assert order == ["log", "default", "log", "default"]


def test_a_queues_own_order_is_kept(services: Services, redis: Redis) -> None:
    fill(redis, 20)
    run(services, redis)
    jobs = Job.fetch_many([f"log-{number}" for number in range(20)], connection=redis, serializer="json")
    starts = [job.started_at for job in jobs if job]
    assert starts == sorted(starts)


def test_no_more_jobs_are_taken_than_threads_are_free(services: Services, redis: Redis) -> None:
    services.start_api()
    services.start_worker(WORKER_THREADS="2")
    ids = [services.post("sleep", {"seconds": 2}) for _ in range(3)]
    services.wait_for(ids[0], "started")
    services.wait_for(ids[1], "started")
    assert redis.llen("rq:queue:default") == 1
    assert all(services.wait_for(id)["status"] == "finished" for id in ids)


@pytest.mark.quick
def test_an_id_that_is_in_the_queue_twice_runs_once(services: Services, redis: Redis) -> None:
    fill(redis, 1)
    for _ in range(3):
        redis.rpush("rq:queue:log", "log-0")
    assert services.start_worker("--burst").wait(30) == 0
    assert redis.xlen("rq:results:log-0") == 1
    assert redis.hget("rq:job:log-0", "errand_attempts") == b"1"


@pytest.mark.quick
def test_max_jobs_ends_it_after_so_many(services: Services, redis: Redis) -> None:
    fill(redis, 3)
    assert services.start_worker("--max-jobs", "4").wait(30) == 0
    assert sum(redis.zcard(f"rq:finished:{name}") for name in NAMES) == 4


def test_max_idle_time_ends_it_when_nothing_comes(services: Services, redis: Redis) -> None:
    fill(redis, 1)
    assert services.start_worker("--max-idle-time", "1").wait(30) == 0
    assert sum(redis.zcard(f"rq:finished:{name}") for name in NAMES) == 4
