"""Going on with the dependents of jobs that have ended, where they were more than one script may settle."""

import time
from collections.abc import Mapping

from redis.asyncio import Redis

from errand.redis.lua.loader import Value, assemble
from errand.store.settings import LifetimeSettings

# So long a request goes on by itself: mostly its answer then has all. The rest is the workers'; API_SECONDS are more.
GO_ON_SECONDS = 0.8


class Settler:
    """Settles them over one asynchronous client, some hundred a step; `ending` are those of scripts that end jobs."""

    def __init__(self, redis: Redis, settings: LifetimeSettings, ending: Mapping[str, Value] | None = None) -> None:
        self._script = redis.register_script(assemble("store/settle_dependents", ending))
        self._ttl_seconds = settings.failure_ttl_seconds

    async def go_on(self) -> None:
        """Settle what is noted, for GO_ON_SECONDS at most. Raises RedisError and TimeoutError."""
        ends_at = time.monotonic() + GO_ON_SECONDS
        while time.monotonic() < ends_at and await self._script(args=[self._ttl_seconds]):
            pass
