"""What `/metrics` shows, all of it out of Redis: the same whichever instance is asked."""

import time
from dataclasses import dataclass
from typing import Any

from redis import RedisError
from redis.asyncio import Redis

from errand.redis.clock import Clock
from errand.redis.lua.loader import read_script
from errand.store.observe.counts import Counts, read_span
from errand.store.observe.rollup import AsyncRollup
from errand.store.queues import Queues, QueueStatus

BEHIND_MINUTES = 1  # from here on a reader rolls up; the workers do it every ten seconds
REASONS = ("rate", "service-down", "no-worker", "payload", "turn")


@dataclass(frozen=True)
class Figures:
    """The service now: `counts` are those of all that ever ended, by type.

    `workers` are counted by state, `retrying` by queue, `parked` by type and reason; `memory_ratio` is what
    Redis uses of its maxmemory, None where it has none.
    """

    now: float
    counts: dict[str, Counts]
    queues: list[QueueStatus]
    workers: dict[str, int]
    threads_free: int
    retrying: dict[str, int]
    parked: dict[tuple[str, str], int]
    held: dict[str, int]
    schedule_late_seconds: float
    memory_ratio: float | None


class MetricsReader:
    """Reads them over one asynchronous client; `clock` is set by the answers."""

    def __init__(self, redis: Redis, clock: Clock, rollup: AsyncRollup) -> None:
        self._script: Any = redis.register_script(read_script("observe/metrics"))
        self._clock = clock
        self._rollup = rollup

    async def read(self, queues: Queues) -> Figures:
        """Return the figures, with those of the queues. Raises RedisError."""
        found = await self._ask()
        if found[1] > BEHIND_MINUTES and await try_to_roll_up(self._rollup):
            found = await self._ask()
        return _build(found, await queues.read_all())

    async def _ask(self) -> list[Any]:
        asked_at = time.monotonic()
        found: list[Any] = await self._script()
        self._clock.note_time(found[0], asked_at)
        return found


async def try_to_roll_up(rollup: AsyncRollup) -> bool:
    """Roll up; return whether that was possible: a server that takes no writes now can still be read."""
    try:
        await rollup.run()
    except RedisError:
        return False
    return True


def _build(found: list[Any], queues: list[QueueStatus]) -> Figures:
    clock, _, totals, workers, free, retrying, parked, held, late, used, limit = found
    return Figures(
        now=int(clock[0]) + int(clock[1]) / 1_000_000,
        counts=read_span(totals),
        queues=queues,
        workers={_read_text(state): count for state, count in workers},
        threads_free=free,
        retrying={_read_text(queue): count for queue, count in retrying},
        parked=_sum_up((_read_text(type), reason.decode(), count) for type, reason, count in parked),
        held=_sum_up_types(held),
        schedule_late_seconds=float(late),
        memory_ratio=used / limit if limit else None,
    )


def _sum_up(parked: Any) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for type, reason, count in parked:
        counts[type, reason] = counts.get((type, reason), 0) + count
    return counts


def _sum_up_types(held: list[bytes]) -> dict[str, int]:
    names = [_read_text(name) for name in held]
    return {name: names.count(name) for name in names}


def _read_text(stored: bytes) -> str:
    return stored.decode(errors="replace")
