"""Finding jobs: pages of the indexes, and of what has failed."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal

from redis.asyncio import Redis

from errand.redis.lua.loader import read_script
from errand.store.status import JobStatus, read_status

BUDGET = 1000  # jobs looked at for a page: the server does nothing else meanwhile, about 3 ms
SMALL = 500  # jobs under a status, as RQ keeps them, that are read and sorted rather than looked for in the indexes
PAGE_BYTES = 1024 * 1024  # about so much of jobs on a page: the server writes it in one step
_CURSOR = re.compile(r"([0-9a-f]{12}):(-?(?:inf|\d+(?:\.\d+)?(?:e[+-]?\d+)?)):(.+)", re.DOTALL)
Place = tuple[str, str]  # a score and an id


class ForeignCursorError(Exception):
    """Raised for a cursor that is none, or that belongs to other filters; the text says so."""


@dataclass(frozen=True)
class Filter:
    """Which jobs are wanted; None is all. What is `after` a time includes it, what is `before` does not.

    `source` is the list, and so the order: all by creation, those that `failed` by failure, a batch's jobs by its items
    (errand/store/batch_jobs.py), or the batches themselves. `error`, the name of an error's type or a part of its
    message, `fingerprint` (errand/store/observe/failures.py) and `ended_…` are for failed ones alone.
    """

    source: Literal["created", "failed", "batch", "batches"] = "created"
    type: str | None = None
    queue: str | None = None
    status: str | None = None
    statuses: tuple[str, ...] | None = None  # one of these, instead of `status`
    tag: str | None = None
    batch: str | None = None
    error: str | None = None
    fingerprint: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    ended_after: datetime | None = None
    ended_before: datetime | None = None

    def describe(self) -> dict[str, Any]:
        """Return it as the script reads it."""
        described = {name: value for name, value in asdict(self).items() if value is not None}
        for name, value in described.items():
            if isinstance(value, datetime):
                described[name] = _count_microseconds(value) if name.startswith("created") else _write_time(value)
        return described

    def write_cursor(self, place: Place) -> str:
        """Return the opaque text that goes on from a place, for these filters alone."""
        return urlsafe_b64encode(f"{self._digest()}:{place[0]}:{place[1]}".encode()).decode().rstrip("=")

    def read_cursor(self, cursor: str) -> Place:
        """Return the place that a cursor stands for. Raises ForeignCursorError."""
        try:
            text = urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
        except ValueError:
            text = ""
        found = _CURSOR.fullmatch(text)
        if not found:
            raise ForeignCursorError("it is no cursor of this list; take it as `next` gave it")
        if found[1] != self._digest():
            raise ForeignCursorError("it belongs to other filters; repeat those of the first page, or begin anew")
        return found[2], found[3]

    def _digest(self) -> str:
        return sha256(json.dumps(self.describe(), sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Count:
    """How many jobs there are by status: at least so many, where not all were looked at."""

    by_status: dict[str, int]
    is_whole: bool

    @property
    def total(self) -> int:
        """How many there are of all statuses."""
        return sum(self.by_status.values())


@dataclass(frozen=True)
class Page:
    """Some jobs in order; `next` is where to go on, None where there are no more."""

    jobs: list[JobStatus]
    next: Place | None


class JobIndex:
    """Finds jobs over one asynchronous client; `queues` are those that the job types name."""

    def __init__(self, redis: Redis, queues: Iterable[str]) -> None:
        self._script = redis.register_script(read_script("store/page"))
        self._queues = sorted(set(queues))

    async def read(self, wanted: Filter, limit: int, place: Place | None = None) -> Page:
        """Return the newest jobs, at most `limit`, after `place`: fewer where most jobs looked at are not `wanted`.

        Raises RedisError.
        """
        next_place, found = await self._call(wanted, limit, place)
        jobs = [job for id, answer in found if (job := read_status(id, answer)) and _has_error(job, wanted.error)]
        return Page(jobs, next_place)

    async def select(
        self, wanted: Filter, limit: int, place: Place | None, token: str | None = None, forward: bool = True
    ) -> tuple[list[str], Place | None]:
        """Return the ids of the oldest wanted jobs after `place` and where to go on, in one call of the script.

        Of the newest where it does not go `forward`. Failed ones that carry a requeue's `token` are left out. Raises
        RedisError.
        """
        more = {"token": token} if token else {}
        place, found = await self._call(wanted, limit, place, forward=forward, ids_only=True, **more)
        return [id for id, answer in found if not answer or _has_error(read_status(id, answer), wanted.error)], place

    async def count(self, wanted: Filter, calls: int = 1, place: Place | None = None, forward: bool = False) -> Count:
        """Return how many jobs after `place` are wanted, of those that so many calls of the script look at.

        Each looks at 1,000, the newest first, or the oldest where it goes `forward`. Errors are not looked into.
        Raises RedisError.
        """
        counts: Counter[str] = Counter()
        for _ in range(calls):
            place, (found,) = await self._ask(wanted, SMALL, place, forward=forward, counts_only=True)
            counts.update(json.loads(found))
            if place is None:
                break
        return Count(dict(counts), place is None)

    async def _call(
        self, wanted: Filter, limit: int, place: Place | None, **more: Any
    ) -> tuple[Place | None, list[tuple[str, bytes]]]:
        place, found = await self._ask(wanted, limit, place, **more)
        ids = [found[i].decode(errors="replace") for i in range(1, len(found), 3)]
        return place, list(zip(ids, found[2::3], strict=True))

    async def _ask(
        self, wanted: Filter, limit: int, place: Place | None, **more: Any
    ) -> tuple[Place | None, list[bytes]]:
        request: dict[str, Any] = {"forward": False, "limit": limit, "queues": self._queues}
        request |= {"budget": BUDGET, "small": SMALL, "bytes": PAGE_BYTES}
        request |= wanted.describe() | more | ({"place": place} if place else {})
        score, id, *found = await self._script(args=[json.dumps(request)])
        return ((score.decode(), id.decode(errors="replace")) if score else None), found


def close_at(wanted: Filter, moment: datetime) -> Filter:
    """Return the filter without what ends from `moment` on."""
    return replace(wanted, ended_before=min(wanted.ended_before or moment, moment))


def _has_error(job: JobStatus | None, error: str | None) -> bool:
    if error is None or job is None:
        return job is not None
    return job.error is not None and (job.error.type == error or error in job.error.message)


def _count_microseconds(moment: datetime) -> str:
    return str(round(moment.astimezone(UTC).timestamp() * 1_000_000))


def _write_time(moment: datetime) -> str:
    """Return a time as RQ keeps it; `strftime` would write the year 1 with one digit."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
