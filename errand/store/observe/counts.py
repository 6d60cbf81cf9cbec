"""The counts of how jobs and attempts ended, as the scripts hand them over."""

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, starmap, zip_longest
from operator import add

from errand.redis import keys

# In the order of errand/redis/lua/lib/observe/counts.lua.
ENDS = ("finished", "failed", "retried", "stopped", "interrupted", "lost", "dead", "canceled")
# By outcome, the ends that count as such: a job that was lost too often has failed, and its attempt was lost.
JOB_OUTCOMES = {"finished": ("finished",), "failed": ("failed", "dead"), "stopped": ("stopped",)}
JOB_OUTCOMES |= {"canceled": ("canceled",)}
ATTEMPT_OUTCOMES = {"finished": ("finished",), "failed": ("failed", "retried"), "interrupted": ("interrupted",)}
ATTEMPT_OUTCOMES |= {"lost": ("lost", "dead"), "stopped": ("stopped",)}
BUCKETS = len(keys.TALLY_BOUNDS) + 1  # the last one is for whatever took longer


@dataclass
class Counts:
    """What was counted of a job type: ends by their word, attempts by how long they waited and ran, and these sums."""

    ends: dict[str, int] = field(default_factory=dict)
    waits: list[int] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    wait_seconds: float = 0.0
    run_seconds: float = 0.0

    def count_jobs(self) -> dict[str, int]:
        """Return how many jobs ended, by outcome."""
        return _sum_up(self.ends, JOB_OUTCOMES)

    def count_attempts(self) -> dict[str, int]:
        """Return how many attempts ended, by outcome."""
        return _sum_up(self.ends, ATTEMPT_OUTCOMES)

    def add(self, other: "Counts") -> None:
        """Count what `other` counts as well."""
        self.ends = {end: self.ends.get(end, 0) + other.ends.get(end, 0) for end in ENDS}
        self.waits = list(starmap(add, zip_longest(self.waits, other.waits, fillvalue=0)))
        self.runs = list(starmap(add, zip_longest(self.runs, other.runs, fillvalue=0)))
        self.wait_seconds += other.wait_seconds
        self.run_seconds += other.run_seconds


def _sum_up(ends: Mapping[str, int], outcomes: Mapping[str, Iterable[str]]) -> dict[str, int]:
    return {outcome: sum(ends.get(end, 0) for end in words) for outcome, words in outcomes.items()}


def read_span(stored: bytes | None, type: str | None = None) -> dict[str, Counts]:
    """Return the counts of a span by job type, or those of one `type`.

    There are none where nothing was counted, or the record is damaged.
    """
    try:
        found = json.loads(stored) if stored else {}
        if type is not None:
            found = {type: found[type]} if type in found else {}
        return {name: _read_type(*parts) for name, parts in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _read_type(
    ends: list[int], waits: list[int], runs: list[int], wait_microseconds: int = 0, run_microseconds: int = 0
) -> Counts:
    named = dict(zip(ENDS, ends, strict=False))
    return Counts(named, _fill(waits), _fill(runs), wait_microseconds / 1e6, run_microseconds / 1e6)


def _fill(buckets: list[int]) -> list[int]:
    """Return a count for each bucket; those of bounds that this version does not know go into the last one."""
    if len(buckets) < BUCKETS:
        return buckets + [0] * (BUCKETS - len(buckets))
    return [*buckets[: BUCKETS - 1], sum(buckets[BUCKETS - 1 :])]


def find_quantiles(buckets: list[int], shares: Iterable[float]) -> list[float | None]:
    """Return for each share below how many seconds so large a part of the attempts stayed, None where there are none.

    Read off inside a bucket as if its attempts were spread over it evenly (as PromQL's histogram_quantile does); what
    took longer than the last bound counts as that bound.
    """
    seen = list(accumulate(buckets))
    if not seen or not seen[-1]:
        return [None for _ in shares]
    return [_find_quantile(buckets, seen, share * seen[-1]) for share in shares]


def _find_quantile(buckets: list[int], seen: list[int], rank: float) -> float:
    place = bisect_left(seen, rank)
    if place >= len(keys.TALLY_BOUNDS):
        return keys.TALLY_BOUNDS[-1]
    lower = keys.TALLY_BOUNDS[place - 1] if place else 0.0
    inside = (rank - seen[place] + buckets[place]) / buckets[place]
    return lower + (keys.TALLY_BOUNDS[place] - lower) * inside
