"""Reading batches: counts that outlive their jobs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from errand.redis import keys
from errand.redis.lua.loader import read_script
from errand.store.batch_jobs import BatchJobReader
from errand.store.index import Filter, Place
from errand.store.settings import LifetimeSettings
from errand.store.status import ENDED

LOOKED_AT = 1000  # batches for a page
# For a page, about, where all have finished, else a fifth: the server does nothing else meanwhile, some 20 ms.
JOBS_COUNTED = 25_000


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


@dataclass(frozen=True)
class PageOfBatches:
    """Some batches, newest first; `next` is where to go on, None where there are no more."""

    batches: list[BatchStatus]
    next: Place | None


def filter_batches(type: str | None) -> Filter:
    """Return the filter to which a cursor of the batches' list belongs."""
    return Filter("batches", type=type)


class BatchReader:
    """Reads batches over one asynchronous client; `jobs` reads those of one of them."""

    def __init__(self, redis: Redis, settings: LifetimeSettings) -> None:
        self.jobs = BatchJobReader(redis)
        self._script = redis.register_script(read_script("store/batch"))
        self._list = redis.register_script(read_script("store/batches"))
        self._ttl_seconds = settings.failure_ttl_seconds

    async def read(self, id: str) -> BatchStatus | None:
        """Return the batch, None where there is none. Raises RedisError."""
        answer = await self._script(keys=[keys.BATCH + id], args=[self._ttl_seconds])
        if not answer:
            return None
        return _build(id, answer)

    async def list(self, wanted: Filter, limit: int, place: Place | None = None) -> PageOfBatches:
        """Return the newest batches that `wanted`, of `filter_batches`, fits, at most `limit` after `place`.

        Fewer where they are large, or most of those looked at are others. It has the newest 10,000 that an API of this
        version has stored, while their records are kept, which listing them does not prolong. Raises RedisError.
        """
        request: dict[str, Any] = {"limit": limit, "budget": LOOKED_AT, "jobs": JOBS_COUNTED}
        request |= {"type": wanted.type} if wanted.type else {}
        request |= {"place": place} if place else {}
        score, id, *found = await self._list(args=[json.dumps(request)])
        batches = [_build(one.decode(), values) for one, *values in found]
        return PageOfBatches(batches, (score.decode(), id.decode()) if score else None)


def _build(id: str, values: Sequence[Any]) -> BatchStatus:
    type, created_at, *counts = values
    pairs = zip(counts[::2], counts[1::2], strict=True)
    return BatchStatus(id, type.decode(), created_at.decode(), {name.decode(): count for name, count in pairs})
