"""The counts of how jobs and attempts ended, and what is read off them."""

import json
from typing import Any

import pytest

from errand.redis import keys
from errand.store.observe.counts import BUCKETS, ENDS, Counts, find_quantiles, read_span
from errand.store.observe.stats import Spans

BOUNDS = keys.TALLY_BOUNDS


def count(ends: list[int], waits: Any = (), runs: Any = (), *more: int) -> list[Any]:
    return [ends, list(waits), list(runs), *more]


def store(**types: list[Any]) -> bytes:
    return json.dumps(types).encode()


def fill(*buckets: int) -> list[int]:
    return [*buckets, *[0] * (BUCKETS - len(buckets))]


def test_a_span_is_read_by_type_or_for_one() -> None:
    span = store(a=count([1, 2], [3], [4, 5], 1_500_000, 2_500_000), b=count([7]))
    one = Counts({"finished": 1, "failed": 2}, fill(3), fill(4, 5), 1.5, 2.5)
    other = Counts({"finished": 7}, fill(), fill(), 0.0, 0.0)
    assert read_span(span) == {"a": one, "b": other}
    assert [read_span(span, type) for type in ("a", "c")] == [{"a": one}, {}]


@pytest.mark.parametrize("stored", [None, b"", b"{", b"7", b'{"a": 7}', b'{"a": [[1], [2]]}', b'{"a": [[1], [2], 7]}'])
def test_a_damaged_span_counts_nothing(stored: bytes | None) -> None:
    assert read_span(stored) == {}


def test_what_lies_above_the_bounds_that_are_known_is_in_the_last_bucket() -> None:
    more = store(a=count([], [*range(BUCKETS), 100], [1] * BUCKETS))
    found = read_span(more)["a"]
    assert found.waits == [*range(BUCKETS - 1), BUCKETS - 1 + 100]
    assert found.runs == [1] * BUCKETS


def test_ends_count_as_outcomes_of_jobs_and_of_attempts() -> None:
    counts = Counts({end: 10**place for place, end in enumerate(ENDS)})
    finished, failed, retried, stopped, interrupted, lost, dead, canceled = (10**place for place in range(len(ENDS)))
    assert counts.count_jobs() == {
        "finished": finished,
        "failed": failed + dead,
        "stopped": stopped,
        "canceled": canceled,
    }
    assert counts.count_attempts() == {
        "finished": finished,
        "failed": failed + retried,
        "interrupted": interrupted,
        "lost": lost + dead,
        "stopped": stopped,
    }
    assert Counts().count_jobs() == dict.fromkeys(("finished", "failed", "stopped", "canceled"), 0)


def test_counts_are_added_part_by_part() -> None:
    counts = Counts({"finished": 1}, [1, 2], [3], 1.5, 2.5)
    counts.add(Counts({"finished": 2, "lost": 4}, [1], [1, 1], 0.5, 0.25))
    assert counts == Counts(dict.fromkeys(ENDS, 0) | {"finished": 3, "lost": 4}, [2, 2], [4, 1], 2.0, 2.75)


def test_a_quantile_lies_inside_its_bucket() -> None:
    assert find_quantiles([], [0.5, 0.9]) == [None, None]
    assert find_quantiles(fill(), [0.5]) == [None]
    assert find_quantiles(fill(4), [0.25, 0.5, 1]) == pytest.approx([BOUNDS[0] / 4, BOUNDS[0] / 2, BOUNDS[0]])
    spread = fill(2, 0, 4)
    middle = BOUNDS[1] + (BOUNDS[2] - BOUNDS[1]) / 4
    assert find_quantiles(spread, [1 / 3, 0.5, 1]) == pytest.approx([BOUNDS[0], middle, BOUNDS[2]])
    longest = [0] * (BUCKETS - 1) + [3]
    assert find_quantiles(longest, [0.5]) == [BOUNDS[-1]]
    assert find_quantiles([*[0] * (BUCKETS - 2), 1, 1], [0.5, 0.6]) == pytest.approx([BOUNDS[-1], BOUNDS[-1]])


def test_spans_hold_what_is_stored_and_what_minutes_add_that_are_open() -> None:
    one, two = count([1], [1], [1], 1_000_000, 1_000_000), count([2], [2], [2], 2_000_000, 2_000_000)
    open_minutes = [(540, store(a=one)), (600, store(a=two)), (899, store(b=one)), (900, store(a=two)), (1200, b"")]
    spans = Spans(300, 600, [store(a=one), None], [*open_minutes, (1200, store(a=one)), (599, store(b=two))])
    first, second = spans.build()
    assert (first.start, second.start) == (600, 900)
    assert {type: counts.ends["finished"] for type, counts in first.counts.items()} == {"a": 3, "b": 1}
    assert first.counts["a"].wait_seconds == 3.0
    assert {type: counts.ends["finished"] for type, counts in second.counts.items()} == {"a": 2}
    assert [list(span.counts) for span in spans.build("b")] == [["b"], []]
