"""Adding the counts of minutes that are over to what is kept longer (scripts/observe/rollup.lua)."""

import time
from collections.abc import Iterator
from typing import Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from errand.redis.lua.loader import read_script

SCRIPT = "observe/rollup"
LOOKED_AT_ONCE = 1000  # minutes; a script holds up everybody else
TAKEN_AT_ONCE = 3  # of these, with counts: each may have some thousands of fields
ROUND_SECONDS = 0.1  # the supervisor has leases to renew, and a request waits for it


def list_limits() -> Iterator[list[int]]:
    """Yield the arguments of one call after another, for a tenth of a second."""
    deadline = time.monotonic() + ROUND_SECONDS
    while time.monotonic() < deadline:
        yield [LOOKED_AT_ONCE, TAKEN_AT_ONCE]


class Rollup:
    """Rolls up over a client of the worker's, which has no event loop."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(read_script(SCRIPT))

    def run(self) -> int:
        """Roll up for a tenth of a second at most; return how many minutes are left. Raises RedisError."""
        left = 0
        for limits in list_limits():
            left = int(self._script(args=limits))
            if not left:
                break
        return left


class AsyncRollup:
    """Rolls up over an asynchronous client."""

    def __init__(self, redis: AsyncRedis) -> None:
        self._script: Any = redis.register_script(read_script(SCRIPT))

    async def run(self) -> int:
        """Roll up for a tenth of a second at most; return how many minutes are left. Raises RedisError."""
        left = 0
        for limits in list_limits():
            left = int(await self._script(args=limits))
            if not left:
                break
        return left
