"""Types whose jobs are held because what they work with is down."""

import json
from dataclasses import dataclass

from redis.asyncio import Redis

from errand.redis.lua.loader import read_script


@dataclass(frozen=True, order=True)
class HeldType:
    """A type that is held, since when (RFC 3339) and why."""

    type: str
    since: str
    reason: str


class HeldTypes:
    """Reads them over one asynchronous client."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(read_script("store/held"))

    async def read(self) -> list[HeldType]:
        """Return them, by type; one that is held for several services comes once for each. Raises RedisError."""
        return sorted(HeldType(*fields) for fields in json.loads(await self._script()))
