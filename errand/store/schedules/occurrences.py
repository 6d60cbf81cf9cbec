"""The occurrences of a schedule, the moments for which it gives a job, and what to do about one that is due."""

from dataclasses import dataclass
from typing import Literal, Protocol

# An occurrence for which no worker looked in this time is missed, and `catch_up` decides. A restarted worker
# takes less.
LATE_SECONDS = 15

CatchUp = Literal["none", "last", "all"]
Overlap = Literal["skip", "queue"]


class Rhythm(Protocol):
    """When occurrences come. Moments are whole seconds since 1970, UTC."""

    def after(self, moment: int) -> int | None:
        """Return the first occurrence after `moment`, None where there is none."""

    def newest(self, moment: int) -> int | None:
        """Return the last occurrence up to and with `moment`, None where there is none."""


class Every:
    """An occurrence every so many seconds, counted from 1970: where it begins depends on nobody's start."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def after(self, moment: int) -> int:
        """Return the first occurrence after `moment`."""
        return (moment // self._seconds + 1) * self._seconds

    def newest(self, moment: int) -> int:
        """Return the last occurrence up to and with `moment`."""
        return moment // self._seconds * self._seconds


@dataclass(frozen=True)
class Decision:
    """What to do about an occurrence that is due.

    `run` is the one to run a job for, `missed` are the first and the last of those that are missed, `next` is the next.
    """

    run: int | None
    missed: tuple[int, int] | None
    next: int | None


def decide(rhythm: Rhythm, occurrence: int, now: int, catch_up: CatchUp, looked_since: int | None = None) -> Decision:
    """Return what to do about `occurrence`, which is due. `next` may be due as well.

    `looked_since` is since when workers look without a break, `now` if it is left out: what has come since then, or
    shortly before, is late because they had no time, and is not missed.
    """
    missed_before = (now if looked_since is None else min(now, looked_since)) - LATE_SECONDS
    if occurrence >= missed_before or catch_up == "all":
        return Decision(occurrence, None, rhythm.after(occurrence))
    last = max(occurrence, rhythm.newest(missed_before - 1) or occurrence)
    following = rhythm.after(last)
    if catch_up == "none" or (following is not None and following <= now):  # one on time is there to make up for all
        return Decision(None, (occurrence, last), following)
    missed = (occurrence, max(occurrence, rhythm.newest(last - 1) or occurrence)) if last > occurrence else None
    return Decision(last, missed, following)
