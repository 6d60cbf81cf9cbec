"""What one call of a script is not to do whole: the server does nothing else meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from errand.redis import keys
from errand.store.cancel import Canceller
from errand.store.delete import Deleter
from errand.store.enqueue import Enqueuer
from errand.store.new_job import NewJob
from errand.store.schedules import schedules
from errand.store.schedules.schedule import Schedule
from errand.store.schedules.schedules import Schedules
from errand.store.settings import QueueSettings
from tests.support.connectors import connect
from tests.support.job_types import TALLY, TYPES


def use(settings: QueueSettings, act: Callable[[AsyncRedis, Enqueuer], Awaitable[Any]]) -> Any:
    """Call something over an asynchronous client."""

    async def main() -> Any:
        redis = connect(settings.redis_url)
        try:
            return await act(redis, Enqueuer(redis, settings, TYPES))
        finally:
            await redis.aclose()

    return asyncio.run(main())


@pytest.mark.parametrize("verb", ["cancel", "delete"])
def test_jobs_amid_a_long_queue_are_all_canceled_or_deleted_in_as_many_steps_as_it_takes(
    redis: Redis, queue_settings: QueueSettings, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(keys, "SEARCHED_AT_ONCE", 0)

    async def act(client: AsyncRedis, enqueuer: Enqueuer) -> list[bytes | None]:
        jobs = [NewJob(TALLY, {"number": 1}) for _ in range(4)]
        await enqueuer.store(jobs)
        ids = [*(job.id for job in jobs), "gone"]
        if verb == "cancel":
            return await Canceller(client, queue_settings).cancel_all(ids, "token")
        return await Deleter(client, queue_settings).delete_all(ids)

    assert use(queue_settings, act) == [b"", b"", b"", b"", None]
    assert redis.llen("rq:queue:default") == 0


def test_schedules_are_listed_some_at_a_time(
    redis: Redis, queue_settings: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "PAGE", 2)
    names = [f"s{number}" for number in range(5)]

    async def act(client: AsyncRedis, enqueuer: Enqueuer) -> list[str]:
        stored = Schedules(client, enqueuer.builder, enqueuer.memory, TYPES)
        for name in names:
            await stored.put(Schedule(name, "log", {"text": "x"}, every_seconds=3600))
        return [one.schedule.name for one in await stored.list()]

    assert use(queue_settings, act) == names


def test_none_is_listed_where_there_are_none(redis: Redis, queue_settings: QueueSettings) -> None:
    async def act(client: AsyncRedis, enqueuer: Enqueuer) -> list[Any]:
        return await Schedules(client, enqueuer.builder, enqueuer.memory, TYPES).list()

    assert use(queue_settings, act) == []
