"""Jobs under a unique key, as Python stores them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import Redis

from errand.store.answer import UniqueJobError
from errand.store.enqueue import Enqueuer
from errand.store.new_job import NewJob
from errand.store.settings import QueueSettings
from tests.support.connectors import connect
from tests.support.job_types import TYPES


def store(settings: QueueSettings, *jobs: NewJob) -> list[Any]:
    """Store jobs one by one; return their statuses, or what was raised."""

    async def main() -> list[Any]:
        redis = connect(settings.redis_url)
        try:
            enqueuer = Enqueuer(redis, settings, TYPES)
            return [(await asyncio.gather(enqueuer.store([one]), return_exceptions=True))[0] for one in jobs]
        finally:
            await redis.aclose()

    return asyncio.run(main())


def build(text: str, replace: bool = False) -> NewJob:
    run_at = datetime.now(UTC) + timedelta(minutes=1)
    return NewJob(TYPES["log"], {"text": text}, run_at=run_at, unique=("k", replace))


def test_the_one_that_is_there_is_raised(queue_settings: QueueSettings, redis: Redis) -> None:
    first, second = build("1"), build("2")
    stored, error = store(queue_settings, first, second)
    assert stored == ["scheduled"]
    assert isinstance(error, UniqueJobError)
    assert (error.id, error.status, error.taken) == (first.id, "scheduled", "existing")


def test_a_call_that_is_sent_again_changes_nothing(queue_settings: QueueSettings, redis: Redis) -> None:
    first, second = build("1"), build("2", replace=True)
    assert store(queue_settings, first, first) == [["scheduled"], ["scheduled"]]
    (replaced,) = store(queue_settings, second)
    redis.hset(f"rq:job:{first.id}", "status", "queued")  # it became due before the reply was lost
    (again,) = store(queue_settings, second)
    assert [(error.id, error.taken) for error in (replaced, again)] == [(first.id, "replaced")] * 2
    assert redis.keys("rq:job:*") == [f"rq:job:{first.id}".encode()]


def test_a_job_of_the_key_that_is_damaged_holds_up_nobody(queue_settings: QueueSettings, redis: Redis) -> None:
    first = build("1")
    store(queue_settings, first)
    redis.delete(f"rq:job:{first.id}")
    redis.set(f"rq:job:{first.id}", "no hash")
    assert store(queue_settings, build("2")) == [["scheduled"]]


def test_a_shorter_life_does_not_shorten_the_keys(queue_settings: QueueSettings, redis: Redis) -> None:
    far = datetime.now(UTC) + timedelta(days=300)
    store(queue_settings, NewJob(TYPES["log"], {"text": "x"}, run_at=far, unique=("k", False)), build("2"))
    assert redis.ttl("errand:unique:log:k") > 300 * 24 * 3600
