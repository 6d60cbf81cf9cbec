"""What failed, as a whole: failed and retrying jobs, counted by what their failures have in common."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from redis.asyncio import Redis

from errand.redis import keys
from errand.redis.lua.loader import read_script

MOST = 10_000  # jobs looked at, all queues together
PAGE = 250  # jobs a call: the server does nothing else meanwhile, about 3 ms
Range = tuple[str, bool, int, int]  # a sorted set, whether its jobs are tried again, first and last rank


@dataclass(frozen=True)
class FailureGroup:
    """Jobs of a type whose last attempt failed by an error of one type at one place of the job's own code.

    `message`, `frame` and `example`, an id, are of the newest; times are RFC 3339, UTC, "" where none is known.
    `error_type` is "" where a failure was recorded by RQ alone.
    """

    fingerprint: str
    type: str
    error_type: str
    message: str
    frame: str
    failed: int
    retrying: int
    first_at: str
    last_at: str
    example: str


@dataclass(frozen=True)
class Failures:
    """The groups, those of the most jobs first; of `total` jobs (stopped ones too) so many were looked at."""

    groups: list[FailureGroup]
    scanned: int
    total: int


class FailureReader:
    """Counts failures over one asynchronous client."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._script = redis.register_script(read_script("observe/failures"))

    async def read(self, queue: str | None = None, type: str | None = None, most: int | None = None) -> Failures:
        """Return what failed, of a queue or a type alone where they are given: the newest `most`, each queue's share.

        By default that is MOST. Raises RedisError.
        """
        sizes = await self._measure(queue, (keys.FAILED, keys.RETRYING_JOBS))
        ranges = list(_share(sizes, MOST if most is None else most))
        groups: dict[str, FailureGroup] = {}
        for page in _cut(ranges):
            for group in (await self._call(page, type=type))[0]:
                known = groups.get(group.fingerprint)
                groups[group.fingerprint] = _add(known, group) if known else group
        found = _sort(groups.values())
        return Failures(found, sum(last - first + 1 for _, _, first, last in ranges), sum(sizes.values()))

    async def read_batch(self, id: str) -> Failures:
        """Return what failed of all of a batch's jobs, nothing where there is no such batch. Raises RedisError."""
        groups, _ = await self._call([], batch=id)
        total = sum(group.failed + group.retrying for group in groups)
        return Failures(_sort(groups), total, total)

    async def list_retrying(self, fingerprint: str, queue: str | None, type: str | None, most: int) -> list[str]:
        """Return some ids of jobs of a group that are tried again. Raises RedisError."""
        ids: list[str] = []
        for page in _cut(_share(await self._measure(queue, (keys.RETRYING_JOBS,)), MOST)):
            ids += (await self._call(page, type=type, fingerprint=fingerprint, most=most - len(ids)))[1]
            if len(ids) >= most:
                break
        return ids

    async def _measure(self, queue: str | None, kinds: Sequence[str]) -> dict[str, int]:
        """Return how many jobs are in which sorted set, those without any left out."""
        if queue is None:
            listing = self._redis.pipeline(transaction=False)
            listing.smembers(keys.QUEUES)
            listing.smembers(keys.RETRYING)
            queues, retrying = await listing.execute()
            names = {_cut_off(key, keys.QUEUE) for key in queues}
            names |= {_cut_off(key, keys.RETRYING_JOBS) for key in retrying}
        else:
            names = {queue}
        sets = [kind + name for name in sorted(names) for kind in kinds]
        counting = self._redis.pipeline(transaction=False)
        for name in sets:
            counting.zcard(name)
        sizes = await counting.execute(raise_on_error=False)
        return {name: size for name, size in zip(sets, sizes, strict=True) if isinstance(size, int) and size}

    async def _call(self, page: Sequence[Range], most: int = 0, **wanted: Any) -> tuple[list[FailureGroup], list[str]]:
        request = {"ranges": page, "most": most, **{name: value for name, value in wanted.items() if value is not None}}
        groups, ids = json.loads((await self._script(args=[json.dumps(request)])).decode(errors="replace"))
        return [_build(group) for group in groups], list(ids)


def _cut_off(key: bytes, prefix: str) -> str:
    return key.decode(errors="replace").removeprefix(prefix)


def _share(sizes: dict[str, int], most: int) -> Iterator[Range]:
    """Yield what to look at, the newest of each set: each has an equal share, and what one does not need the others."""
    left, sets = most, sorted(sizes.items(), key=lambda item: item[1])
    for number, (name, size) in enumerate(sets):
        share = min(size, left // (len(sets) - number))
        left -= share
        if share:
            yield name, name.startswith(keys.RETRYING_JOBS), size - share, size - 1


def _cut(ranges: Iterable[Range]) -> Iterator[list[Range]]:
    """Yield ranges of PAGE jobs together, from the high ranks down: what fails meanwhile comes above them."""
    page: list[Range] = []
    room = PAGE
    for name, is_retrying, first, last in ranges:
        while last >= first:
            low = max(first, last - room + 1)
            page.append((name, is_retrying, low, last))
            room -= last - low + 1
            last = low - 1
            if not room:
                yield page
                page, room = [], PAGE
    if page:
        yield page


def _sort(groups: Iterable[FailureGroup]) -> list[FailureGroup]:
    return sorted(groups, key=lambda group: (-group.failed - group.retrying, group.fingerprint))


def _build(found: dict[str, Any]) -> FailureGroup:
    return FailureGroup(
        fingerprint=found["fingerprint"],
        type=found["type"],
        error_type=found["error"],
        message=found["message"],
        frame=found["frame"],
        failed=found["failed"],
        retrying=found["retrying"],
        first_at=found["first"],
        last_at=found["last"],
        example=found["example"],
    )


def _add(one: FailureGroup, other: FailureGroup) -> FailureGroup:
    newest = max(one, other, key=lambda group: group.last_at)
    firsts = [group.first_at for group in (one, other) if group.first_at]
    return replace(
        newest,
        failed=one.failed + other.failed,
        retrying=one.retrying + other.retrying,
        first_at=min(firsts, default=""),
    )
