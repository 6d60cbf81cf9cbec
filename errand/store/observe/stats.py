"""What ended in each minute, five minutes or hour, as `/v1/stats` asks for it."""

import time
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from errand.redis import keys
from errand.redis.clock import Clock
from errand.redis.lua.loader import read_script
from errand.store.observe.counts import Counts, read_span
from errand.store.observe.metrics import BEHIND_MINUTES, try_to_roll_up
from errand.store.observe.rollup import AsyncRollup

# By the seconds of a step, how many seconds back there are such.
RETENTION_SECONDS = {60: keys.STATS_MINUTES_SECONDS, 300: keys.STATS_FIVES_SECONDS, 3600: keys.STATS_HOURS_SECONDS}


@dataclass(frozen=True)
class Span:
    """What ended from `start` on, in seconds since 1970, by type."""

    start: int
    counts: dict[str, Counts]


class StatsReader:
    """Reads spans of time over one asynchronous client; `clock` is set by the answers."""

    def __init__(self, redis: Redis, clock: Clock, rollup: AsyncRollup) -> None:
        self._script: Any = redis.register_script(read_script("observe/stats"))
        self._clock = clock
        self._rollup = rollup

    async def read(self, step_seconds: int, start: int, steps: int) -> "Spans":
        """Return so many spans, the first of which begins at `start`, a multiple of the step. Raises RedisError."""
        found = await self._ask(step_seconds, start, steps)
        if found[1] > BEHIND_MINUTES and await try_to_roll_up(self._rollup):
            found = await self._ask(step_seconds, start, steps)
        return Spans(step_seconds, start, found[2], [(int(at), counts) for at, counts in found[3]])

    async def _ask(self, step_seconds: int, start: int, steps: int) -> list[Any]:
        asked_at = time.monotonic()
        found: list[Any] = await self._script(args=[step_seconds, start, steps])
        self._clock.note_time(found[0], asked_at)
        return found


@dataclass(frozen=True)
class Spans:
    """Spans of time as Redis has them; `open` are the minutes that are not in them yet."""

    step_seconds: int
    start: int
    stored: list[bytes | None]
    open: list[tuple[int, bytes]]

    def build(self, type: str | None = None) -> list[Span]:
        """Return them in order, with all types or one.

        For a thousand steps of ten types that takes a tenth of a second: call it in a thread.
        """
        spans = [Span(self.start + i * self.step_seconds, read_span(text, type)) for i, text in enumerate(self.stored)]
        for at, text in self.open:
            place = (at - self.start) // self.step_seconds
            if 0 <= place < len(spans):
                for name, counts in read_span(text, type).items():
                    spans[place].counts.setdefault(name, Counts()).add(counts)
        return spans
