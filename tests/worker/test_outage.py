"""When an outage of Redis is over, and what its time counts for."""

import pytest

from errand.worker.processes import outage
from errand.worker.processes.outage import Outage

LEASE_SECONDS = 10.0


class Clock:
    """Both clocks of the `time` module."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.machine = 50.0  # it was started just now

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.machine

    def pass_time(self, seconds: float, asleep: bool = False) -> None:
        self.now += seconds
        self.machine += 0 if asleep else seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(outage, "time", clock)
    return clock


@pytest.fixture
def watched(clock: Clock) -> Outage:
    """One that has had answers for longer than a lease."""
    watched = Outage(LEASE_SECONDS)
    beat(clock, watched, 11)
    return watched


def beat(clock: Clock, watched: Outage, seconds: float) -> None:
    for _ in range(int(seconds * 2)):
        clock.pass_time(0.5)
        watched.note_answer()


def test_at_first_nobody_is_judged_for_a_whole_lease(clock: Clock) -> None:
    watched = Outage(LEASE_SECONDS)
    beat(clock, watched, 10)
    assert not watched.is_over
    beat(clock, watched, 1)
    assert watched.is_over


@pytest.mark.parametrize(("seconds", "over"), [(1, True), (4.5, True), (5.5, False), (60, False)])
@pytest.mark.parametrize("asleep", [False, True])
def test_after_a_pause_in_which_a_lease_may_end_it_starts_anew(
    clock: Clock, watched: Outage, seconds: float, over: bool, asleep: bool
) -> None:
    clock.pass_time(seconds, asleep)
    watched.note_answer()
    assert watched.is_over == over
    beat(clock, watched, 11)
    assert watched.is_over


@pytest.mark.parametrize(("seconds", "counted"), [(1.5, 1.5), (2.5, 0), (60, 0)])
def test_a_pause_does_not_count_against_jobs(clock: Clock, watched: Outage, seconds: float, counted: float) -> None:
    before = watched.clock_seconds
    clock.pass_time(seconds)
    watched.note_answer()
    assert watched.clock_seconds - before == counted


def test_a_clock_put_back_counts_for_nothing(clock: Clock, watched: Outage) -> None:
    before = watched.clock_seconds
    clock.now -= 3600
    watched.note_answer()
    assert watched.clock_seconds == before
    assert watched.is_over


@pytest.mark.usefixtures("_with_log")
def test_each_outage_and_each_refusal_is_logged_once_and_so_is_its_end(
    watched: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        watched.note_silence(OSError("no route"))
        watched.note_refusal(OSError("no room"))
    for _ in range(3):
        watched.note_answer()
        watched.note_consent()
    watched.note_silence(OSError("no route"))
    watched.note_refusal(OSError("no room"))
    away, refuses = "Redis is away (OSError: no route)", "Redis refuses: OSError: no room"
    over = ["Redis answers again", "Redis refuses nothing any more"]
    assert [record.message for record in caplog.records] == [away, refuses, *over, away, refuses]
    assert [record.levelname for record in caplog.records[:2]] == ["WARNING", "ERROR"]


@pytest.mark.parametrize("jump_seconds", [-7200, 7200])
def test_a_jump_of_redis_own_clock_lets_the_owners_come_first(
    clock: Clock, watched: Outage, jump_seconds: float
) -> None:
    watched.note_answer(jump_seconds)
    assert not watched.is_over
    for _ in range(22):
        clock.pass_time(0.5)
        watched.note_answer(jump_seconds + 0.1)
    assert watched.is_over
