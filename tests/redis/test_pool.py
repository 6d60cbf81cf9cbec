"""The API's connections: only so many, however many ask at once; a caller that waits gets one or gives up."""

import asyncio

from redis import Redis

from errand.local.valkey import EmbeddedValkey
from errand.redis import pool
from errand.redis.connection import API, UrlConnector


def count(redis: Redis) -> int:
    return sum(client["name"] == "errand-api" for client in redis.client_list())


def test_many_at_once_share_the_connections_and_all_are_answered(valkey: EmbeddedValkey, redis: Redis) -> None:
    async def act() -> tuple[list[int], int]:
        async with UrlConnector(valkey.url).connect_async(API) as client:
            answers = await asyncio.gather(*(client.incr("asked") for _ in range(500)))
            return answers, count(redis)

    answers, opened = asyncio.run(act())
    assert sorted(answers) == list(range(1, 501))
    assert opened <= pool.MOST


def test_who_gives_up_leaves_its_place_to_the_others(valkey: EmbeddedValkey, redis: Redis) -> None:
    async def act() -> None:
        async with UrlConnector(valkey.url).connect_async(API) as client:
            held = [await client.connection_pool.get_connection() for _ in range(pool.MOST)]
            waiting = [asyncio.ensure_future(client.ping()) for _ in range(3)]
            await asyncio.sleep(0.05)
            assert not any(task.done() for task in waiting)
            release = asyncio.create_task(client.connection_pool.release(held.pop()))
            waiting[0].cancel()
            await release
            waiting[1].cancel()  # it may be its turn just now
            assert await asyncio.wait_for(waiting[2], 10)
            for connection in held:
                await client.connection_pool.release(connection)

    asyncio.run(act())
