"""What waits for a job that failed for good."""

from redis import Redis
from rq import Queue
from rq.job import Dependency, Job

from service.worker.dependents import cancel_dependents


def enqueue(redis: Redis, **options: object) -> Job:
    return Queue("log", connection=redis, serializer="json").enqueue("jobs.log.run.perform", text="x", **options)


def test_they_are_canceled_all_the_way_down(redis: Redis) -> None:
    first = enqueue(redis)
    second = enqueue(redis, depends_on=first)
    third = enqueue(redis, depends_on=second)
    cancel_dependents(first)
    assert [second.get_status(), third.get_status()] == ["canceled", "canceled"]
    assert redis.zcard("rq:deferred:log") == 0


def test_one_that_allows_failure_is_left_to_rq(redis: Redis) -> None:
    first = enqueue(redis)
    second = enqueue(redis, depends_on=Dependency(first, allow_failure=True))
    cancel_dependents(first)
    assert second.get_status() == "deferred"


def test_the_reason_names_the_job_that_failed(redis: Redis) -> None:
    first = enqueue(redis, failure_ttl=100)
    second = enqueue(redis, depends_on=first)
    cancel_dependents(first)
    assert first.id in redis.hget(second.key, "errand_error").decode()
    assert 0 < redis.ttl(second.key) <= 100


def test_without_dependents_nothing_is_written(redis: Redis) -> None:
    first = enqueue(redis)
    before = sorted(redis.keys())
    cancel_dependents(first)
    assert sorted(redis.keys()) == before
