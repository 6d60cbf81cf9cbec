"""The counts of how jobs and attempts ended, as the scripts hand them over."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

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
        self.waits = [sum(pair) for pair in zip_longest(self.waits, other.waits, fillvalue=0)]
        self.runs = [sum(pair) for pair in zip_longest(self.runs, other.runs, fillvalue=0)]
        self.wait_seconds += other.wait_seconds
        self.run_seconds += other.run_seconds


def _sum_up(ends: Mapping[str, int], outcomes: Mapping[str, Iterable[str]]) -> dict[str, int]:
    return {outcome: sum(ends.get(end, 0) for end in words) for outcome, words in outcomes.items()}


def read_span(stored: bytes | None) -> dict[str, Counts]:
    """Return the counts of a span by job type; none where nothing was counted, or the record is damaged."""
    try:
        found = json.loads(stored or b"{}")
        return {str(name): _read_type(*parts) for name, parts in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _read_type(
    ends: list[int], waits: list[int], runs: list[int], wait_microseconds: int, run_microseconds: int
) -> Counts:
    named = {end: int(count) for end, count in zip(ENDS, ends, strict=False)}
    return Counts(named, _fill(waits), _fill(runs), wait_microseconds / 1e6, run_microseconds / 1e6)


def _fill(buckets: Iterable[int]) -> list[int]:
    """Return a count for each bucket; those of bounds that this version does not know go into the last one."""
    counts = [int(count) for count in buckets]
    head, rest = counts[: BUCKETS - 1], counts[BUCKETS - 1 :]
    return [*head, *[0] * (BUCKETS - 1 - len(head)), sum(rest)]


def find_quantile(buckets: list[int], share: float) -> float | None:
    """Return below how many seconds so large a share of the attempts stayed, None where there are none.

    Read off inside a bucket as if its attempts were spread over it evenly (as PromQL's histogram_quantile does); what
    took longer than the last bound counts as that bound.
    """
    rank, seen, lower = share * sum(buckets), 0, 0.0
    if not rank:
        return None
    for count, upper in zip(buckets, keys.TALLY_BOUNDS, strict=False):
        if count and seen + count >= rank:
            return lower + (upper - lower) * (rank - seen) / count
        seen, lower = seen + count, float(upper)
    return lower
