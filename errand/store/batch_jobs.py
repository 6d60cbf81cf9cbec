"""Reading a batch's jobs, a page at a time, in the order of its items."""

import json
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from errand.redis import keys
from errand.redis.lua.loader import read_script
from errand.store.index import PAGE_BYTES, Filter, ForeignCursorError, Place
from errand.store.new_job import derive_ids
from errand.store.status import JobStatus, read_status


@dataclass(frozen=True)
class BatchJob:
    """A job of a batch with its status; `job` is None where it has expired or was deleted.

    The status is then the one with which it ended, by the batch's record: `deleted` for one that had not.
    """

    id: str
    status: str
    job: JobStatus | None


@dataclass(frozen=True)
class PageOfBatchJobs:
    """Some jobs of a batch, of `type`; `next` is where to go on, None where there are no more."""

    type: str
    jobs: list[BatchJob]
    next: Place | None


def filter_batch(id: str, status: str | None) -> Filter:
    """Return the filter to which a cursor of the batch's jobs belongs."""
    return Filter("batch", batch=id, status=status)


class BatchJobReader:
    """Reads the jobs of batches over one asynchronous client."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(read_script("store/batch_jobs"))

    async def read(self, wanted: Filter, limit: int, place: Place | None = None) -> PageOfBatchJobs | None:
        """Return the jobs that `wanted`, of `filter_batch`, fits, at most `limit` after `place`; None without a batch.

        One round trip; without a status only the jobs of the page are looked at. Raises RedisError, and
        ForeignCursorError for a place that is none here.
        """
        assert wanted.batch is not None
        first, after = _read_place(place) if place else (0, "")
        count = keys.BATCH_LIMIT - first if wanted.status else limit
        request: dict[str, Any] = {"limit": limit, "bytes": PAGE_BYTES, "first": first, "after": after}
        request |= {"status": wanted.status} if wanted.status else {}
        ids = derive_ids(wanted.batch, count + 1, first)
        answer = await self._script(keys=[keys.BATCH + wanted.batch], args=[json.dumps(request), *ids])
        if not answer:
            return None
        type, number, id, *found = (value.decode(errors="replace") for value in answer)
        jobs = [BatchJob(*one) for one in _read(found)]
        return PageOfBatchJobs(type, jobs, (number, id) if number else None)


def _read_place(place: Place) -> tuple[int, str]:
    """Return the number of the first job after a place, and the id before it."""
    if not place[0].isdecimal() or int(place[0]) > keys.BATCH_LIMIT:
        raise ForeignCursorError("it is no cursor of this list; take it as `next` gave it")
    return int(place[0]), place[1]


def _read(found: list[str]) -> list[tuple[str, str, JobStatus | None]]:
    triples = zip(found[::3], found[1::3], found[2::3], strict=True)
    return [(id, status, read_status(id, answer.encode()) if answer else None) for id, status, answer in triples]
