"""The code in which an API posts its types: a payload that an older worker refuses waits for a newer one."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from redis import RedisError
from redis.asyncio import Redis

from errand.redis.lua.loader import read_script

INTERVAL_SECONDS = 20  # one may fail: the next still comes before the announcement lapses
LIFETIME_SECONDS = 60  # what was posted before a rollout waits so long for the last worker that it may fit


class PostedCodes:
    """The types of one API, each with the hash of its code."""

    def __init__(self, redis: Redis, codes: Mapping[str, str]) -> None:
        self._script = redis.register_script(read_script("store/posted_code"))
        self._args: list[str | int] = [LIFETIME_SECONDS, *(f"{type}={code}" for type, code in codes.items())]

    async def announce(self) -> None:
        """Announce them for a minute. Raises RedisError."""
        await self._script(args=self._args)

    async def keep(self) -> None:
        """Announce them again and again, as long as the API runs."""
        while True:
            with suppress(RedisError, TimeoutError):
                await self.announce()
            await asyncio.sleep(INTERVAL_SECONDS)
