"""Backoff: exponential, with full jitter, within its bounds."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errand import Backoff


@given(
    tries=st.integers(1, 40),
    base_seconds=st.floats(0, 100),
    cap_seconds=st.floats(0, 10_000),
)
def test_the_nth_wait_is_at_least_a_second_and_at_most_its_ceiling(
    tries: int, base_seconds: float, cap_seconds: float
) -> None:
    waits = Backoff(tries, base_seconds, cap_seconds).draw_seconds()
    assert len(waits) == tries - 1
    for n, wait in enumerate(waits):
        assert 1 <= wait <= max(1, round(min(cap_seconds, base_seconds * 2**n)))


def test_the_waits_vary() -> None:
    assert len({tuple(Backoff(tries=8).draw_seconds()) for _ in range(20)}) > 1


def test_the_ceilings_double_up_to_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    assert Backoff(tries=6, base_seconds=3, cap_seconds=20).draw_seconds() == [3, 6, 12, 20, 20]


def test_one_try_has_no_wait() -> None:
    assert Backoff(tries=1).draw_seconds() == []


def test_thousands_of_tries_are_no_overflow() -> None:
    assert max(Backoff(tries=3000, cap_seconds=60).draw_seconds()) <= 60


def test_without_tries_hours_leave_room_for_one_a_second() -> None:
    assert (Backoff().retries, Backoff(hours=0.5).retries, Backoff(tries=3, hours=0.5).retries) == (4, 1800, 2)


def test_what_the_list_says_needs_no_policy() -> None:
    assert (Backoff().policy, Backoff(tries=51).policy) == ("", "")
    assert Backoff(tries=52).policy
    assert Backoff(tries=2, hours=1).policy


def test_a_policy_has_what_each_wait_is_drawn_from() -> None:
    timed = Backoff(hours=2, base_seconds=3, cap_seconds=9)
    assert json.loads(timed.policy) == {"retries": 7200, "base": 3, "cap": 9, "seconds": 7200}
    assert json.loads(Backoff(tries=52).policy) == {"retries": 51, "base": 2, "cap": 3600}


def test_fifty_waits_are_listed_and_of_more_the_cap() -> None:
    listed, more, short = Backoff(tries=51), Backoff(tries=52), Backoff(tries=52, cap_seconds=0.2)
    assert (len(listed.ceilings_seconds), len(listed.draw_seconds())) == (50, 50)
    assert (more.ceilings_seconds, more.draw_seconds(), short.draw_seconds()) == ([], [3600], [1])
