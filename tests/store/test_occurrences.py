"""What is done about an occurrence that is due, on time or late."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errand.contract.cron import Cron
from errand.store.schedules.occurrences import LATE_SECONDS, CatchUp, Decision, Every, decide

NOON = 1_800_014_400  # 12:00 UTC
HOURLY = Cron("0 * * * *")
CATCH_UPS: list[CatchUp] = ["none", "last", "all"]


@pytest.mark.parametrize("catch_up", CATCH_UPS)
@pytest.mark.parametrize("late", [0, LATE_SECONDS])
def test_an_occurrence_on_time_runs(catch_up: CatchUp, late: int) -> None:
    assert decide(HOURLY, NOON, NOON + late, catch_up) == Decision(NOON, None, NOON + 3600)


def test_none_lets_missed_occurrences_go() -> None:
    assert decide(HOURLY, NOON, NOON + 7800, "none") == Decision(None, (NOON, NOON + 7200), NOON + 10800)


def test_last_runs_the_newest_of_the_missed_occurrences() -> None:
    assert decide(HOURLY, NOON, NOON + 7800, "last") == Decision(NOON + 7200, (NOON, NOON + 3600), NOON + 10800)
    assert decide(HOURLY, NOON, NOON + 600, "last") == Decision(NOON, None, NOON + 3600)


def test_last_runs_no_missed_occurrence_where_one_on_time_makes_up_for_it() -> None:
    assert decide(HOURLY, NOON, NOON + 7200, "last") == Decision(None, (NOON, NOON + 3600), NOON + 7200)


def test_all_runs_the_missed_occurrences_one_after_the_other() -> None:
    assert decide(HOURLY, NOON, NOON + 7800, "all") == Decision(NOON, None, NOON + 3600)


def test_every_so_many_seconds_counts_from_1970() -> None:
    assert (Every(7).after(0), Every(7).after(6), Every(7).after(7)) == (7, 7, 14)
    assert (Every(7).newest(0), Every(7).newest(6), Every(7).newest(7)) == (0, 0, 7)


@given(
    st.integers(1, 5000), st.integers(0, 100_000), st.integers(0, 20_000), st.sampled_from(CATCH_UPS), st.integers(1, 9)
)
def test_every_occurrence_runs_once_or_is_missed_once(
    seconds: int, first: int, late: int, catch_up: CatchUp, stride: int
) -> None:
    rhythm = Every(seconds)
    occurrence: int | None = rhythm.after(first)
    assert occurrence is not None
    begin, now = occurrence, occurrence + late
    seen: list[Any] = []
    while occurrence is not None and occurrence <= now and len(seen) < 50:
        step = decide(rhythm, occurrence, now, catch_up)
        seen += [step.missed] if step.missed else []
        seen += [(step.run, step.run)] if step.run is not None else []
        occurrence, now = step.next, now + stride
    assert seen[0][0] == begin
    assert occurrence == seen[-1][1] + seconds
    assert all(earlier[1] + seconds == later[0] for earlier, later in pairwise(seen))


@pytest.mark.parametrize("catch_up", CATCH_UPS)
@pytest.mark.parametrize("looked_since", [NOON - 86400, NOON, NOON + LATE_SECONDS])
def test_an_occurrence_runs_however_late_where_workers_have_looked_since(catch_up: CatchUp, looked_since: int) -> None:
    assert decide(HOURLY, NOON, NOON + 7800, catch_up, looked_since) == Decision(NOON, None, NOON + 3600)


def test_occurrences_before_the_looks_began_are_missed_and_those_after_it_are_not() -> None:
    since = NOON + 5400  # between the second and the third of three
    assert decide(HOURLY, NOON, NOON + 7800, "none", since) == Decision(None, (NOON, NOON + 3600), NOON + 7200)
    assert decide(HOURLY, NOON, NOON + 7800, "last", since) == Decision(None, (NOON, NOON + 3600), NOON + 7200)
    assert decide(HOURLY, NOON + 7200, NOON + 7800, "none", since) == Decision(NOON + 7200, None, NOON + 10800)


def test_looks_noted_by_a_clock_that_was_set_back_since_are_of_now() -> None:
    assert decide(HOURLY, NOON, NOON + 10, "none", NOON + 900) == Decision(NOON, None, NOON + 3600)


def test_of_missed_occurrences_the_last_is_the_one_before_those_that_are_on_time() -> None:
    now = 1_000_000
    first_on_time = now - LATE_SECONDS
    assert decide(Every(1), now - 60, now, "last") == Decision(None, (now - 60, first_on_time - 1), first_on_time)
    assert decide(Every(1), first_on_time - 1, now, "last").run is None
    assert decide(Every(1), first_on_time, now, "last") == Decision(first_on_time, None, first_on_time + 1)
