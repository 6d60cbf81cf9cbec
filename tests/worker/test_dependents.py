"""What becomes of the jobs that wait for another one."""

import json
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from rq.job import Dependency, Job
from rq.rate_limit import RateLimit

from tests.support.services import Services
from tests.support.waiting import wait_until


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue("default", connection=redis, serializer="json")


def enqueue(queue: Queue, type: str, depends_on: Any = None, **payload: object) -> Job:
    return queue.enqueue_call(f"jobs.{type}.run.perform", kwargs=payload, depends_on=depends_on, failure_ttl=100)


def drain(services: Services) -> None:
    assert services.start_worker("--burst").wait(20) == 0


@pytest.mark.quick
def test_a_failure_cancels_them_all_the_way_down(
    services: Services, queue: Queue, redis: Redis, tmp_path: Path
) -> None:
    first = enqueue(queue, "fail", ledger=str(tmp_path / "ledger"), permanent=True)
    second = enqueue(queue, "echo", first)
    third = enqueue(queue, "echo", second)
    drain(services)
    assert [job.get_status() for job in (first, second, third)] == ["failed", "canceled", "canceled"]
    assert redis.zcard("rq:deferred:default") == 0
    assert redis.zcard("rq:canceled:default") == 2


def test_the_reason_names_the_job_that_failed(services: Services, queue: Queue, redis: Redis, tmp_path: Path) -> None:
    first = enqueue(queue, "fail", ledger=str(tmp_path / "ledger"), permanent=True)
    second = enqueue(queue, "echo", first)
    drain(services)
    assert first.id in json.loads(redis.hget(second.key, "errand_error"))["message"]
    assert 0 < redis.ttl(second.key) <= 100


def test_one_that_allows_failure_runs_after_it(services: Services, queue: Queue, tmp_path: Path) -> None:
    first = enqueue(queue, "fail", ledger=str(tmp_path / "ledger"), permanent=True)
    second = enqueue(queue, "echo", Dependency(first, allow_failure=True), value=7)
    drain(services)
    assert (second.get_status(), second.return_value()) == ("finished", 7)


def test_one_that_waits_for_two_runs_after_both(services: Services, queue: Queue, redis: Redis) -> None:
    slow = enqueue(queue, "sleep", seconds=1)
    quick = enqueue(queue, "echo", value=1)
    both = enqueue(queue, "echo", [slow, quick], value=2)
    services.start_worker()
    wait_until(lambda: quick.get_status() == "finished")
    assert both.get_status() == "deferred"
    wait_until(lambda: both.get_status() == "finished")
    assert redis.zcard("rq:deferred:default") == 0


@pytest.mark.quick
def test_a_chain_over_two_queues_runs_in_order(services: Services, redis: Redis, queue: Queue) -> None:
    first = enqueue(queue, "echo", value=1)
    second = Queue("email", connection=redis, serializer="json").enqueue_call(
        "jobs.echo.run.perform", kwargs={"value": 2}, depends_on=first
    )
    services.start_worker()
    wait_until(lambda: second.get_status() == "finished")
    first.refresh()
    second.refresh()
    assert second.started_at >= first.ended_at


def test_one_under_a_rate_limit_runs_too(services: Services, queue: Queue, redis: Redis) -> None:
    first = enqueue(queue, "echo", value=1)
    second = queue.enqueue("jobs.echo.run.perform", depends_on=first, rate_limit=RateLimit("k", 1))
    drain(services)
    assert second.get_status() == "finished"
    assert redis.zcard("rq:ready:default") == 0
