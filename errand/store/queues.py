"""Queues as they are now, and pausing them."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from redis.asyncio import Redis

from errand.redis import keys
from errand.redis.clock import Clock
from errand.redis.lua.loader import read_script
from errand.store.observe.live import find_live_since

STUCK = {"held": "type_held", "unknown": "type_unknown", "refused": "payload_refused"}


class UnknownQueueError(Exception):
    """Raised for a queue that neither a job type nor Redis knows; `names` are those that there are."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


@dataclass(frozen=True, order=True)
class WaitingJobs:
    """Queued jobs of a type that no worker runs now; `since` where it is the same for all: what they need is down."""

    type: str
    jobs: int
    reason: str
    since: str | None = None


@dataclass(frozen=True)
class QueueWhy:
    """Why none of a queue's jobs is taken: a word for machines, a sentence for people, how many jobs wait so."""

    verdict: str
    reason: str
    jobs: int


@dataclass(frozen=True)
class QueueStatus:
    """One queue: its jobs by RQ's status words, stopped ones among the failed, and when the oldest was queued.

    `waiting` are those of the queued that no worker runs now, with the reason; `why` is there where none is taken.
    `retrying` have failed and wait to be tried again, queued or scheduled; `newest_error` is that error's type, and
    `workers` how many live ones serve it.
    """

    name: str
    paused: bool
    oldest_at: str | None
    jobs: dict[str, int]
    waiting: list[WaitingJobs]
    why: QueueWhy | None = None
    retrying: int = 0
    newest_error: str | None = None
    workers: int = 0

    @property
    def state(self) -> Literal["active", "draining", "drained"]:
        """Whether its jobs are taken; a paused queue is drained once none of them runs any more."""
        if not self.paused:
            return "active"
        return "draining" if self.jobs["started"] else "drained"


class Queues:
    """Reads and pauses queues over one asynchronous client: those in Redis and `named`, those of the job types.

    `clock` hears the time.
    """

    def __init__(self, redis: Redis, named: Iterable[str], clock: Clock | None = None) -> None:
        self._redis = redis
        self._clock = clock or Clock()
        self._named = sorted(named)
        self._script = redis.register_script(read_script("store/list_queues"))

    async def read_all(self) -> list[QueueStatus]:
        """Return all queues, by name. Raises RedisError."""
        return (await self._read(""))[1]

    async def read(self, name: str) -> QueueStatus:
        """Return one queue. Raises UnknownQueueError and RedisError."""
        names, found = await self._read(name)
        if not name or not found:
            raise UnknownQueueError(names)
        return found[0]

    async def check(self, name: str) -> None:
        """Return where there is such a queue; nothing is asked for those of job types. Raises as `read` does."""
        if name in self._named:
            return
        stored = [
            key if isinstance(key, str) else key.decode(errors="replace")
            for key in await self._redis.smembers(keys.QUEUES)
        ]
        names = sorted({*self._named, *(key.removeprefix(keys.QUEUE) for key in stored)})
        if not name or name not in names:
            raise UnknownQueueError(names)

    async def pause(self, name: str) -> QueueStatus:
        """Let no worker of ours take a job from it; return the queue. Raises UnknownQueueError and RedisError."""
        await self.read(name)
        await self._redis.sadd(keys.PAUSED, name)
        return await self.read(name)

    async def resume(self, name: str) -> QueueStatus:
        """Undo `pause`, and wake the workers; return the queue. Raises UnknownQueueError and RedisError."""
        await self.read(name)
        if await self._redis.srem(keys.PAUSED, name):
            await self._redis.publish(keys.WORK, name)
        return await self.read(name)

    async def _read(self, name: str) -> tuple[list[str], list[QueueStatus]]:
        asked_at = time.monotonic()
        answer = await self._script(args=[name, find_live_since(self._clock), *self._named])
        names, found, clock, suspended = json.loads(answer.decode(errors="replace"))
        self._clock.note_time(clock, asked_at)
        return list(names), [_build(described, suspended) for described in found]


def _build(described: list[Any], suspended: bool) -> QueueStatus:
    """Return a queue as the script describes it; no worker takes its jobs where RQ is `suspended`."""
    name, paused, oldest_at, counts, waiting, workers, overdue, retrying, error = described
    jobs = {status: max(0, count) for status, count in counts.items()}
    known = list(waiting or ())
    why = _judge(name, suspended, paused, workers, jobs["queued"] + overdue, known)
    shown = sorted(map(_build_waiting, known))
    return QueueStatus(name, paused, oldest_at or None, jobs, shown, why, retrying, error or None, workers)


def _judge(
    name: str, suspended: bool, paused: bool, workers: int, jobs: int, waiting: list[list[Any]]
) -> QueueWhy | None:
    """Return why nothing is taken, in the order in which a job's own verdicts are (verdicts.py)."""
    if not jobs:
        return None
    if suspended:
        return QueueWhy("rq_suspended", "RQ is suspended, so no worker takes jobs; `rq resume` ends that", jobs)
    if paused:
        return QueueWhy("queue_paused", f"it is paused; `errand queues resume {name}` ends that", jobs)
    if not workers:
        return QueueWhy("no_worker", "no worker serves it", jobs)
    stuck = [fields for fields in waiting if fields[4] in STUCK]
    if not stuck or sum(fields[1] for fields in stuck) < jobs:
        return None
    type, _, reason, _, kind = max(stuck, key=lambda fields: int(fields[1]))
    return QueueWhy(STUCK[kind], f"{type}: {reason}", jobs)


def _build_waiting(fields: list[Any]) -> WaitingJobs:
    type, jobs, reason, since, _ = fields
    return WaitingJobs(type, jobs, reason, since or None)
