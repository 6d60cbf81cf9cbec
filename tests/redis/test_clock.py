"""The process' clock: Redis' time at its last answer, and monotonic time since."""

import re
from typing import Any

import pytest

from errand.redis import clock as module
from errand.redis.clock import Clock
from tests.support.project import ROOT

START = 1_800_000_000.0


class Times:
    """Both clocks of the `time` module."""

    def __init__(self) -> None:
        self.host = START
        self.machine = 50.0

    def time(self) -> float:
        return self.host

    def monotonic(self) -> float:
        return self.machine

    def pass_time(self, seconds: float) -> None:
        self.host += seconds
        self.machine += seconds


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    times = Times()
    monkeypatch.setattr(module, "time", times)
    return times


@pytest.fixture
def logged() -> list[str]:
    return []


@pytest.fixture
def clock(times: Times, logged: list[str]) -> Clock:
    return Clock(logged.append)


def note(clock: Clock, times: Times, seconds: float, took_seconds: float = 0.0) -> None:
    """Let an answer come that Redis gave at that time, as its clock says, just before the answer came."""
    asked_at = times.machine
    times.pass_time(took_seconds)
    clock.note(round(seconds * 1_000_000), asked_at)


@pytest.mark.parametrize("answer", [(2_000, 250_000), ["2000", "250000"], [b"2000", b"250000"]])
def test_the_answer_of_time_is_noted_in_whatever_form_it_comes(clock: Clock, times: Times, answer: list[Any]) -> None:
    clock.note_time(answer, times.machine)
    assert clock.now() == 2_000.25


def test_before_the_first_answer_it_is_the_hosts(clock: Clock, times: Times) -> None:
    assert clock.now() == START
    assert clock.offset_seconds == 0
    assert clock.complaint is None


def test_it_goes_on_from_the_last_answer_whatever_the_host_says(clock: Clock, times: Times) -> None:
    note(clock, times, START - 600)
    times.pass_time(5)
    times.host += 3 * 3600
    assert clock.now() == START - 595
    assert clock.moment().timestamp() == START - 595


@pytest.mark.parametrize("jump_seconds", [-7200, 7200])
def test_it_follows_redis_own_clock_where_that_jumps(clock: Clock, times: Times, jump_seconds: float) -> None:
    note(clock, times, START)
    times.pass_time(1)
    note(clock, times, START + 1 + jump_seconds)
    assert clock.now() == START + 1 + jump_seconds


def test_a_slow_answer_does_not_set_it_back(clock: Clock, times: Times) -> None:
    note(clock, times, START)
    note(clock, times, START + 0.1, took_seconds=1.5)  # Redis read its clock early on, and the answer took its time
    assert clock.now() == START + 1.5
    note(clock, times, START + 2.9, took_seconds=1.5)
    assert clock.now() == START + 3


def test_a_wrong_host_is_logged_once_and_again_when_it_changes(clock: Clock, times: Times, logged: list[str]) -> None:
    for _ in range(3):
        note(clock, times, times.host - 600)
        times.pass_time(1)
    assert logged == ["this host's clock is 600.0 s ahead of Redis'; Errand goes by Redis'. Set one of them right"]
    note(clock, times, times.host + 5)
    assert logged[1:] == ["this host's clock is 5.0 s behind Redis'; Errand goes by Redis'. Set one of them right"]
    for _ in range(2):
        note(clock, times, times.host)
    assert logged[2:] == ["this host's clock agrees with Redis' again"]


@pytest.mark.parametrize("offset_seconds", [-1.9, 0, 1.9])
def test_two_seconds_are_nothing_to_log(clock: Clock, times: Times, logged: list[str], offset_seconds: float) -> None:
    note(clock, times, times.host - offset_seconds)
    assert (logged, clock.complaint) == ([], None)
    assert clock.offset_seconds == pytest.approx(offset_seconds, abs=1e-5)


def test_in_a_forked_process_it_logs_nothing_more(clock: Clock, times: Times, logged: list[str]) -> None:
    clock.silence()
    note(clock, times, START - 600)
    assert logged == []
    assert clock.complaint is not None


def test_an_info_without_the_time_is_no_answer(clock: Clock) -> None:
    assert not clock.note_info({"used_memory": 1}, 0.0)
    assert clock.now() == START


# What they return goes to people or to other servers, or measures pauses; nothing of it is stored.
FREE = {
    "api/console/access/session.py",
    "api/console/mail/folder.py",
    "api/http/access_log.py",
    "builtin/webhook.py",
    "cli/moment.py",
    "contract/attempt.py",
    "contract/progress.py",
    "local/processes.py",
    "local/mail_sink.py",
    "redis/clock.py",
    "testing/redis.py",
    "testing/time.py",
    "worker/output/printed.py",
    "worker/processes/outage.py",
}
HOST = re.compile(r"\b(time\.time|time_ns|datetime\.now|utcnow)\b|from rq\.utils import .*\b(now|current_timestamp)\b")


def test_no_other_file_reads_the_hosts_clock() -> None:
    library = ROOT / "errand"
    found = {str(path.relative_to(library)) for path in library.rglob("*.py") if HOST.search(path.read_text())}
    assert found == FREE
