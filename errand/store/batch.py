"""Reading a batch: counts that outlive its jobs."""

from dataclasses import dataclass

from redis.asyncio import Redis

from errand.redis import keys
from errand.redis.lua.loader import read_script
from errand.store.settings import LifetimeSettings
from errand.store.status import ENDED


@dataclass(frozen=True)
class BatchStatus:
    """One batch as it is now: its jobs by RQ's status words, `deleted` for those that somebody removed unended."""

    id: str
    type: str
    created_at: str
    counts: dict[str, int]

    @property
    def total(self) -> int:
        """How many jobs it has."""
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        """How many of them will not run any more."""
        return sum(count for status, count in self.counts.items() if status in ENDED or status == "deleted")

    @property
    def has_ended(self) -> bool:
        """Whether all of them will not run any more."""
        return self.ended == self.total


class BatchReader:
    """Reads batches over one asynchronous client."""

    def __init__(self, redis: Redis, settings: LifetimeSettings) -> None:
        self._script = redis.register_script(read_script("store/batch"))
        self._ttl_seconds = settings.failure_ttl_seconds

    async def read(self, id: str) -> BatchStatus | None:
        """Return the batch, None where there is none. Raises RedisError."""
        answer = await self._script(keys=[keys.BATCH + id], args=[self._ttl_seconds])
        if not answer:
            return None
        type, created_at, *counts = answer
        pairs = zip(counts[::2], counts[1::2], strict=True)
        return BatchStatus(id, type.decode(), created_at.decode(), {name.decode(): count for name, count in pairs})
