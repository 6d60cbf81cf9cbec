"""Times and spans."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from errand.cli.client.problem import WrongUsageError
from errand.cli.moment import read_past, read_span, read_time, show_age, show_span, show_time, write_span


@pytest.fixture(autouse=True)
def _paris(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1.5h", 5400), ("2 d", 172800), ("0.25", 0.25)]
)
def test_a_span_is_read_by_its_unit(text: str, seconds: float) -> None:
    assert read_span(text, "--delay") == seconds


@pytest.mark.parametrize("text", ["", "-1", "5w", "1h30m", "m", "٣", "inf"])
def test_another_span_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(WrongUsageError, match=r"^--delay '.*': write seconds, or 90s, 5m, 2h, 1d$"):
        read_span(text, "--delay")


def test_a_time_without_an_offset_is_this_machines() -> None:
    assert read_time("2026-12-24T18:00", "--at") == "2026-12-24T18:00:00.000000+01:00"
    assert read_time("2026-07-14 18:00:05", "--at") == "2026-07-14T18:00:05.000000+02:00"


def test_a_time_with_an_offset_stays() -> None:
    assert read_time("2026-12-24T18:00:00Z", "--at") == "2026-12-24T18:00:00.000000+00:00"


@pytest.mark.parametrize("text", ["tomorrow", "18:00", "2026-13-01", "2026-02-30T10:00"])
def test_another_time_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(WrongUsageError, match=r"--at .*: write 2026-12-24T18:00"):
        read_time(text, "--at")


def test_so_long_ago_is_a_time() -> None:
    found = datetime.fromisoformat(read_past("2h", "--since"))
    assert abs(datetime.now(UTC) - timedelta(hours=2) - found) < timedelta(seconds=5)


def test_longer_ago_than_there_is_time_is_refused() -> None:
    with pytest.raises(WrongUsageError, match="longer ago than any job"):
        read_past("9999999d", "--since")


def test_a_time_is_shown_by_this_machines_clock() -> None:
    assert show_time("2026-11-23T14:17:21.698Z") == "2026-11-23 15:17:21+01:00"
    assert show_time(None) == ""


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (2e5, "2 d")]
)
def test_a_span_is_shown_in_its_largest_unit(seconds: float, shown: str) -> None:
    assert show_span(seconds) == shown


def test_an_age_tells_past_from_future() -> None:
    now = datetime.now(UTC)
    assert show_age((now - timedelta(seconds=30)).isoformat()) == "30 s ago"
    assert show_age((now + timedelta(seconds=301)).isoformat()) == "in 5 min"


@pytest.mark.parametrize(
    ("seconds", "written"), [(90, "90s"), (300, "5m"), (7200, "2h"), (86400, "1d"), (90000, "25h")]
)
def test_a_span_is_written_as_it_is_read(seconds: int, written: str) -> None:
    assert write_span(seconds) == written
    assert read_span(written, "--every") == seconds
