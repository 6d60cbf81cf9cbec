"""A reply that is lost on the way: redis-py sends again, and there is one job."""

import asyncio

import pytest
from redis import Redis

from errand.store.enqueue import Enqueuer
from errand.store.new_job import NewJob
from errand.store.settings import QueueSettings
from tests.support.connectors import connect
from tests.support.job_types import LOG, TYPES
from tests.support.proxies import Proxy


@pytest.mark.valkey
def test_it_is_sent_again_and_there_is_one_job(redis: Redis, queue_settings: QueueSettings) -> None:
    new = NewJob(LOG, {"text": "x"})

    async def main() -> tuple[list[str], int]:
        with Proxy(queue_settings.redis_url) as proxy:
            proxy.lose_reply()
            async with connect(proxy.url) as client:
                statuses = await Enqueuer(client, queue_settings, TYPES).store([new])
        return statuses, proxy.cuts

    assert asyncio.run(main()) == (["queued"], 1)
    assert redis.lrange("rq:queue:log", 0, -1) == [new.id.encode()]
    assert redis.scard("rq:queues") == 1
