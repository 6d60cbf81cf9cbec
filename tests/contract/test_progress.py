"""Progress: kept for unit tests, written seldom enough for Redis, and the last report always."""

import math
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any

import pytest

from errand import Progress
from errand.contract import progress as _progress
from errand.contract.progress import LiveProgress


class Clock:
    """Time that stands still until a test moves it, and the timers that wait for it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[Timer] = []

    def monotonic(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds
        for timer in [timer for timer in self.timers if timer.due_at <= self.now]:
            timer.cancel()
            timer.function()


class Timer:
    """threading.Timer on that clock."""

    clock: Clock

    def __init__(self, seconds: float, function: Any) -> None:
        self.due_at, self.function, self.daemon = self.clock.now + seconds, function, False

    def start(self) -> None:
        self.clock.timers.append(self)

    def cancel(self) -> None:
        if self in self.clock.timers:
            self.clock.timers.remove(self)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    Timer.clock = clock = Clock()
    monkeypatch.setattr(_progress, "time", clock)
    monkeypatch.setattr(_progress, "Timer", Timer)
    yield clock
    assert not clock.timers


@pytest.fixture
def written() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def live(clock: Clock, written: list[dict[str, Any]]) -> LiveProgress:
    return LiveProgress(written.append)


def _done(written: list[dict[str, Any]]) -> list[float]:
    return [report["done"] for report in written]


def test_a_plain_progress_keeps_its_reports() -> None:
    seen = Progress()
    seen(1)
    seen(3, 3, "rows")
    assert seen.reports == [(1, None, ""), (3, 3, "rows")]
    assert seen.reports[-1][:2] == (3, 3)


@pytest.mark.parametrize(
    ("done", "total"),
    [(-1, 3), (math.nan, 3), (math.inf, 3), (1, 0), (1, -2), (1, math.nan), (1, math.inf)],
)
def test_a_number_that_is_no_progress_is_refused(done: float, total: float) -> None:
    seen = Progress()
    with pytest.raises(ValueError, match=r"^progress\(.*\): done must be at least 0, total more than 0, both finite$"):
        seen(done, total)
    assert seen.reports == []


def test_the_first_report_is_written_at_once(live: LiveProgress, written: list[dict[str, Any]]) -> None:
    live(1, 3, "rows")
    report = written[0]
    assert (report["done"], report["total"], report["message"]) == (1, 3, "rows")
    assert report["updated_at"].endswith("Z")


def test_at_most_four_reports_a_second_are_written(
    live: LiveProgress, clock: Clock, written: list[dict[str, Any]]
) -> None:
    for step in range(1000):
        live(step, 1000)
        clock.forward(0.001)
    live.flush()
    assert 4 <= len(written) <= 6
    assert _done(written)[-1] == 999


def test_a_held_report_comes_out_by_itself(live: LiveProgress, clock: Clock, written: list[dict[str, Any]]) -> None:
    live(1)
    live(2)
    live(3)
    assert _done(written) == [1]
    clock.forward(0.25)
    assert _done(written) == [1, 3]


def test_a_held_report_comes_out_by_a_real_timer(written: list[dict[str, Any]]) -> None:
    live = LiveProgress(written.append)
    live(1)
    live(2)
    assert live._timer is not None
    live._timer.join(10)
    assert _done(written) == [1, 2]


def test_flush_writes_the_held_report_once(live: LiveProgress, clock: Clock, written: list[dict[str, Any]]) -> None:
    live(1)
    live(2)
    live.flush()
    live.flush()
    clock.forward(1)
    assert _done(written) == [1, 2]


def test_flush_without_a_report_writes_nothing(live: LiveProgress, written: list[dict[str, Any]]) -> None:
    live.flush()
    assert written == []


def test_a_late_report_is_written_at_once_again(
    live: LiveProgress, clock: Clock, written: list[dict[str, Any]]
) -> None:
    live(1)
    clock.forward(0.3)
    live(2)
    assert _done(written) == [1, 2]


def test_a_long_message_is_cut(live: LiveProgress, written: list[dict[str, Any]]) -> None:
    live(1, 2, "x" * 300)
    assert written[0]["message"] == "x" * 200


def test_two_written_reports_of_one_moment_differ_in_their_times(
    live: LiveProgress, clock: Clock, written: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Frozen(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime(2026, 12, 24, 18, tzinfo=tz)

    monkeypatch.setattr(_progress, "datetime", Frozen)
    live(0, 3)
    live(1, 3)
    clock.forward(1)
    assert _done(written) == [0, 1]
    assert written[0]["updated_at"] < written[1]["updated_at"]


def test_a_report_that_comes_as_the_interval_ends_is_written_at_once(
    clock: Clock, live: LiveProgress, written: list[dict[str, Any]]
) -> None:
    live(1)
    clock.forward(_progress.INTERVAL_SECONDS)
    live(2)
    assert _done(written) == [1, 2]


def test_a_held_report_keeps_no_process_from_its_end(clock: Clock, live: LiveProgress) -> None:
    live(1)
    live(2)
    assert [timer.daemon for timer in clock.timers] == [True]
    live.flush()


def test_what_is_to_be_checked_comes_before_each_report(clock: Clock, written: list[dict[str, Any]]) -> None:
    def check() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        LiveProgress(written.append, check)(1)
    assert written == []


def test_a_report_has_its_time_to_the_millisecond_and_two_never_the_same(
    clock: Clock, written: list[dict[str, Any]]
) -> None:
    live = LiveProgress(written.append, now=lambda: 1000.0)
    live(1)
    clock.forward(1)
    live(2)
    assert [report["updated_at"] for report in written] == ["1970-01-01T00:16:40.000Z", "1970-01-01T00:16:40.001Z"]


def test_a_total_may_be_less_than_one(live: LiveProgress, written: list[dict[str, Any]]) -> None:
    live(0.1, 0.5)
    assert (written[0]["total"], live.reports) == (0.5, [])
