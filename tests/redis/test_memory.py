"""When a server counts as full, and how often it is asked."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError, RedisError

from errand.local.valkey import EmbeddedValkey
from errand.redis.connection import connect
from errand.redis.memory import FRESH_SECONDS, FullRedisError, MemoryGuard

Use = Callable[[Callable[[MemoryGuard], Awaitable[Any]]], Any]


@pytest.fixture
def redis(own_valkey: EmbeddedValkey) -> Iterator[Redis]:
    client = Redis.from_url(own_valkey.url)
    client.setrange("ballast", 32 * 2**20, b"x")  # beside which a connection's buffers are nothing
    yield client
    client.close()


@pytest.fixture
def use(own_valkey: EmbeddedValkey) -> Use:
    """Call a MemoryGuard inside an event loop of its own."""

    def run(call: Callable[[MemoryGuard], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            redis = connect(own_valkey.url)
            try:
                return await call(MemoryGuard(redis))
            finally:
                await redis.aclose()

        return asyncio.run(main())

    return run


def fill(redis: Redis, part: float) -> None:
    """Let what is in use be that part of the server's maxmemory; with 0 there is no limit."""
    redis.config_set("maxmemory", int(redis.info("memory")["used_memory"] / part) if part else 0)


def count_infos(redis: Redis) -> int:
    """Return how many INFOs the server has answered, the one that asks this left out."""
    return int(redis.info("commandstats").get("cmdstat_info", {"calls": 0})["calls"])


@pytest.mark.parametrize("part", [0, 0.5, 0.78])
def test_below_80_percent_there_is_room(redis: Redis, use: Use, part: float) -> None:
    fill(redis, part)
    use(lambda guard: guard.check())


@pytest.mark.parametrize("part", [0.82, 1, 10])
def test_from_80_percent_on_it_is_full_and_says_how_full(redis: Redis, use: Use, part: float) -> None:
    fill(redis, part)
    limit_mb = int(redis.config_get("maxmemory")["maxmemory"]) / 2**20
    with pytest.raises(FullRedisError, match=rf"^used \d+\.\d of {limit_mb:.1f} MB"):
        use(lambda guard: guard.check())


def test_requests_that_come_together_share_one_info(redis: Redis, use: Use) -> None:
    redis.config_resetstat()
    use(lambda guard: asyncio.gather(*(guard.check() for _ in range(300))))
    assert count_infos(redis) == 1


def test_together_they_learn_that_it_is_full(redis: Redis, use: Use) -> None:
    fill(redis, 0.9)

    async def main(guard: MemoryGuard) -> set[type[object]]:
        return {
            type(error) for error in await asyncio.gather(*[guard.check() for _ in range(300)], return_exceptions=True)
        }

    assert use(main) == {FullRedisError}


def test_it_is_asked_once_a_second_at_most_and_then_again(redis: Redis, use: Use) -> None:
    redis.config_resetstat()

    async def main(guard: MemoryGuard) -> float:
        await guard.check()
        fill(redis, 0.9)
        started = time.monotonic()
        while time.monotonic() - started < 5:
            try:
                await guard.check()
            except FullRedisError:
                break
            await asyncio.sleep(0.01)
        return time.monotonic() - started

    seconds = use(main)
    assert FRESH_SECONDS - 0.1 < seconds < FRESH_SECONDS + 1
    assert count_infos(redis) == 3  # its own two and the one in `fill`


def test_nobody_is_asked_before_something_is_to_be_stored(redis: Redis, use: Use) -> None:
    redis.config_resetstat()

    async def wait(guard: MemoryGuard) -> None:
        await asyncio.sleep(FRESH_SECONDS + 0.2)

    use(wait)
    assert count_infos(redis) == 0


def test_a_server_that_is_away_is_not_full_and_all_learn_it_at_once(own_valkey: EmbeddedValkey, use: Use) -> None:
    own_valkey.stop()

    async def main(guard: MemoryGuard) -> tuple[set[type[object]], float]:
        started = time.monotonic()
        outcomes = await asyncio.gather(*[guard.check() for _ in range(100)], return_exceptions=True)
        return {type(outcome) for outcome in outcomes}, time.monotonic() - started

    kinds, seconds = use(main)
    assert kinds == {ConnectionError}
    assert seconds < 1  # one failed attempt, not a hundred in a row


def test_a_server_that_is_back_is_asked_again(own_valkey: EmbeddedValkey, use: Use) -> None:
    own_valkey.stop()

    async def main(guard: MemoryGuard) -> None:
        with pytest.raises(RedisError):
            await guard.check()
        await asyncio.to_thread(own_valkey.start)
        await guard.check()

    use(main)
