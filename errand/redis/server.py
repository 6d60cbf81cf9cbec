"""Whether a Redis server keeps what it acknowledges, and whether it takes anything."""

import time
from dataclasses import dataclass

from redis import RedisError
from redis.asyncio import Redis

from errand.redis.clock import Clock
from errand.redis.connection import connect
from errand.redis.failover import ReplicaError
from errand.redis.lua.loader import read_script

PROBE_SECONDS = 1.0  # so long an answer holds: load balancers ask /readyz every few seconds, of many instances


class WriteProbe:
    """Tries a write that changes nothing, over one asynchronous client and once a second at most."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(read_script("store/probe_write"))
        self._taken_at = float("-inf")

    async def check(self) -> None:
        """Return where the server takes writes. Raises RedisError where it refuses or does not answer."""
        if time.monotonic() - self._taken_at >= PROBE_SECONDS:
            await self._script()
            self._taken_at = time.monotonic()


class EvictingServerError(Exception):
    """Raised when the server may throw jobs away to make room."""


@dataclass(frozen=True)
class Durability:
    """`survives_power_cut` is None where the server does not say; `reason` says what is known."""

    survives_power_cut: bool | None
    reason: str


async def check_url(url: str, clock: Clock | None = None) -> Durability:
    """Do as `check_server` over a connection of its own. Raises ValueError for a URL that can't be read, too."""
    async with connect(url) as redis:
        return await check_server(redis, clock)


async def check_server(redis: Redis, clock: Clock | None = None) -> Durability:
    """Read the server's role, persistence and eviction policy, and set `clock`.

    Raises EvictingServerError, ReplicaError and RedisError.

    From INFO, since managed servers forbid CONFIG; only `appendfsync` is not in it.
    """
    asked_at = time.monotonic()
    info = await redis.info()
    if info.get("role") == "slave":
        raise ReplicaError(f"{info.get('master_host')}:{info.get('master_port')}")
    if clock is not None:
        clock.note_info(info, asked_at)
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise EvictingServerError(
            f"REDIS_URL: the server's maxmemory-policy is {policy}: it may throw jobs away to make room. "
            f"Set it to noeviction"
        )
    if not info.get("aof_enabled"):
        return Durability(False, "the server has no append-only file: a crash loses what came after its last snapshot")
    try:
        sync = (await redis.config_get("appendfsync"))["appendfsync"]
    except (RedisError, KeyError):
        return Durability(None, "the server keeps an append-only file and does not say how often it is synced")
    if sync == "always":
        return Durability(True, "every write is on disk before it is acknowledged")
    lost = "about the last second" if sync == "everysec" else "what the system had not yet written"
    return Durability(False, f"appendfsync is {sync}: a power cut loses {lost}")
