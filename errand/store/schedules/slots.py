"""The slots of a schedule, the moments for which it gives a job, and what to do about one that is due."""

from dataclasses import dataclass
from typing import Literal, Protocol

LATE_SECONDS = 15  # a slot for which no worker looked in this time is missed, and `catch_up` decides

CatchUp = Literal["none", "last", "all"]
Overlap = Literal["skip", "queue"]


class Rhythm(Protocol):
    """When slots come. Moments are whole seconds since 1970, UTC."""

    def after(self, moment: int) -> int | None:
        """Return the first slot after `moment`, None where there is none."""

    def newest(self, moment: int) -> int | None:
        """Return the last slot up to and with `moment`, None where there is none."""


class Every:
    """A slot every so many seconds, counted from 1970: where it begins depends on nobody's start."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def after(self, moment: int) -> int:
        """Return the first slot after `moment`."""
        return (moment // self._seconds + 1) * self._seconds

    def newest(self, moment: int) -> int:
        """Return the last slot up to and with `moment`."""
        return moment // self._seconds * self._seconds


@dataclass(frozen=True)
class Step:
    """What to do about a slot that is due: the slot to run a job for, the first and last that are missed, the next."""

    run: int | None
    missed: tuple[int, int] | None
    next: int | None


def plan(rhythm: Rhythm, slot: int, now: int, catch_up: CatchUp, looked_since: int | None = None) -> Step:
    """Return what to do about `slot`, which is due. `next` may be due as well.

    `looked_since` is since when workers look without a break, `now` if it is left out: what has come since then, or
    shortly before, is late for want of time at most, and is not missed.
    """
    missed_before = (now if looked_since is None else min(now, looked_since)) - LATE_SECONDS
    if slot >= missed_before or catch_up == "all":
        return Step(slot, None, rhythm.after(slot))
    last = max(slot, rhythm.newest(missed_before - 1) or slot)
    following = rhythm.after(last)
    if catch_up == "none" or (following is not None and following <= now):  # one on time is there to make up for all
        return Step(None, (slot, last), following)
    missed = (slot, max(slot, rhythm.newest(last - 1) or slot)) if last > slot else None
    return Step(last, missed, following)
