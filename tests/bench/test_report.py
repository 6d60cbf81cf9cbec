import pytest

from bench.figure import Bar, Result
from bench.record import Record
from bench.report import build_report, format_value
from bench.verdict import Verdict, judge


@pytest.fixture
def record() -> Record:
    record = Record("drain", "2026-01-01T00:00:00+00:00", "python -m bench")
    for rate in (9000.0, 6000.0, 8000.0):
        record.add("errand", [Result("one worker", rate, "jobs/s"), Result("two workers", rate * 1.5, "jobs/s")])
    for name, rate in (("rq", 400.0), ("saq", 2000.0), ("huey", 4000.0), ("bare", 90_000.0)):
        record.add(name, [Result("one worker", rate, "jobs/s")])
        record.settings[name], record.versions[name] = "as set", {name: "1.0"}
    return record


def find_verdict(bar: Bar, record: Record) -> Verdict:
    verdict = judge(bar, record)
    assert verdict is not None
    return verdict


def test_a_bar_holds_our_median_against_the_fastest_peer(record: Record) -> None:
    verdict = find_verdict(Bar("one worker", 2.0), record)
    assert (verdict.ours, verdict.theirs, verdict.rival) == (8000, 4000, "huey")
    assert verdict.met


def test_a_bar_that_is_missed_says_by_how_much(record: Record) -> None:
    verdict = find_verdict(Bar("one worker", 4.0), record)
    assert not verdict.met
    assert verdict.describe() == "**50% short**"


def test_where_less_is_better_the_fastest_peer_is_the_lowest(record: Record) -> None:
    verdict = find_verdict(Bar("one worker", 1.6, at_most=True), record)
    assert (verdict.theirs, verdict.rival) == (2000, "saq")
    assert verdict.describe() == "**150% over**"


def test_a_bar_can_name_a_system_or_a_figure_of_our_own(record: Record) -> None:
    assert find_verdict(Bar("one worker", 20.0, against="rq"), record).ratio == 20
    assert find_verdict(Bar("two workers", 1.2, against="errand", other="one worker"), record).ratio == 1.5


def test_a_bar_without_a_rival_is_held_against_its_value(record: Record) -> None:
    verdict = find_verdict(Bar("one worker", 90.0, against="", at_most=True), record)
    assert (verdict.ratio, verdict.met) == (8000, False)


def test_a_figure_that_was_not_measured_has_no_verdict(record: Record) -> None:
    assert judge(Bar("three workers", 1.0), record) is None


def test_the_report_shows_bars_medians_ranges_and_settings(record: Record) -> None:
    lines = build_report([record]).splitlines()
    bar = "No-op jobs, jobs/s: one worker | at least 3 × fastest peer"
    assert f"| {bar} | 8,000 | 4,000 (huey) | 2.00 | **33% short** |" in lines
    assert "| **Errand** | 8,000 (6,000 to 9,000) | 12,000 (9,000 to 13,500) |" in lines
    assert "| saq | saq 1.0 | as set |" in lines


def test_values_keep_three_digits() -> None:
    assert [format_value(value) for value in (12_345.6, 123.4, 1.2345)] == ["12,346", "123", "1.23"]
