"""Whether Redis has room for more."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from errand.redis.clock import Clock

FULL_AT = 0.8  # of maxmemory: the jobs that are there need the rest to end
FRESH_SECONDS = 1.0  # in which even thousands of jobs take some megabytes, far from the rest
MB = 1024 * 1024  # as Redis counts them in maxmemory


class FullRedisError(Exception):
    """Raised when nothing more should be stored; the text says how full Redis is."""


@dataclass(frozen=True)
class Memory:
    """What a server uses, of how much, in bytes; `limit` 0 means that it has none."""

    used: int
    limit: int

    def check(self) -> None:
        """Raise FullRedisError from 80 % of the limit on."""
        if self.limit and self.used >= FULL_AT * self.limit:
            raise FullRedisError(
                f"used {self.used / MB:.1f} of {self.limit / MB:.1f} MB; from {FULL_AT:.0%} on nothing new is stored"
            )


def read_memory(info: Mapping[str, Any]) -> Memory:
    """Return what INFO says, without the buffers for replicas and the append-only file: maxmemory leaves them out."""
    return Memory(info["used_memory"] - info.get("mem_not_counted_for_evict", 0), info.get("maxmemory", 0))


class MemoryGuard:
    """Asks a server, over one asynchronous client, at most once a second, and only when something is to be stored.

    The answer has the time as well, so that whatever is stored has a `clock` that was set a second ago at most.
    """

    def __init__(self, redis: Redis, clock: Clock | None = None) -> None:
        self._redis = redis
        self.clock = clock or Clock()
        self._memory = Memory(0, 0)
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    @property
    def limit_bytes(self) -> int:
        """The server's maxmemory as it was last read, 0 where it has none."""
        return self._memory.limit

    @property
    def ratio(self) -> float | None:
        """How much of its maxmemory the server used when it was last read, None where it has none."""
        return self._memory.used / self._memory.limit if self._memory.limit else None

    async def check(self) -> None:
        """Raise FullRedisError when the server is nearly full, RedisError where it does not say.

        Requests that come while it is being asked share the answer.
        """
        if time.monotonic() - self._read_at >= FRESH_SECONDS:
            if self._reading is None:
                self._reading = asyncio.create_task(self._read())
                self._reading.add_done_callback(_retrieve)
            await asyncio.shield(self._reading)
        self._memory.check()

    async def _read(self) -> None:
        """Read INFO: managed servers forbid CONFIG."""
        try:
            asked_at = time.monotonic()
            info = await self._redis.info("memory", "server")
            if not self.clock.note_info(info, asked_at):
                self.clock.note_time(await self._redis.time(), asked_at)
            self._memory = read_memory(info)
            self._read_at = time.monotonic()
        finally:
            self._reading = None


def _retrieve(reading: asyncio.Task[None]) -> None:
    """Look at the task's error, which asyncio would complain about where all callers have left."""
    if not reading.cancelled():
        reading.exception()
