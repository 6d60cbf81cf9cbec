"""Cron expressions beside a naive model that looks at every minute, and the days on which clocks change."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errand.contract.cron import ALIASES, FIELDS, Cron, CronError, ZoneError

MINUTE = timedelta(minutes=1)
WINDOW = timedelta(days=3)
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
CHANGES = {  # the days before which the windows begin; UTC has any
    "UTC": ["2026-01-30", "2026-07-15", "2028-02-27"],
    "Europe/Paris": ["2026-03-28", "2026-10-24"],
    "America/New_York": ["2026-03-07", "2026-10-31"],
}


@dataclass(frozen=True)
class Field:
    """A field as written, and the numbers that it means."""

    text: str
    values: frozenset[int]


@st.composite
def items(draw: st.DrawFn, low: int, high: int, names: list[str]) -> Field:
    """One part of a list: a number, a name, a range, a step."""

    def write(number: int) -> str:
        named = bool(names) and number - low < len(names) and draw(st.booleans())
        return names[number - low] if named else str(number)

    first = draw(st.integers(low, high))
    last = draw(st.integers(first, high))
    step = draw(st.integers(1, max(1, (high - low) // 2)))
    match draw(st.sampled_from(["*", "*/", "one", "range", "range/"])):
        case "*":
            return Field("*", frozenset(range(low, high + 1)))
        case "*/":
            return Field(f"*/{step}", frozenset(range(low, high + 1, step)))
        case "one":
            return Field(write(first), frozenset({first}))
        case "range":
            return Field(f"{write(first)}-{write(last)}", frozenset(range(first, last + 1)))
    return Field(f"{write(first)}-{write(last)}/{step}", frozenset(range(first, last + 1, step)))


def fields(low: int, high: int, names: list[str] | None = None) -> st.SearchStrategy[Field]:
    """One to three parts with commas."""
    parts = st.lists(items(low, high, names or []), min_size=1, max_size=3)
    return parts.map(lambda all: Field(",".join(p.text for p in all), frozenset().union(*(p.values for p in all))))


ANY = {"day": Field("*", frozenset(range(1, 32))), "week": Field("*", frozenset(range(7)))}
EXPRESSIONS = st.tuples(
    fields(0, 59),
    fields(0, 23),
    st.just(ANY["day"]) | fields(1, 31),
    st.just(Field("*", frozenset(range(1, 13)))) | fields(1, 12, MONTHS),
    st.just(ANY["week"]) | fields(0, 6, DAYS),
)


def matches(wall: datetime, expression: tuple[Field, ...]) -> bool:
    """Return what the clock and the calendar on the wall show at a minute."""
    minute, hour, day, month, week = expression
    if wall.minute not in minute.values or wall.hour not in hour.values or wall.month not in month.values:
        return False
    found = (wall.day in day.values, wall.isoweekday() % 7 in week.values)
    return all(found) if day.text.startswith("*") or week.text.startswith("*") else any(found)


def list_times(expression: tuple[Field, ...], zone: ZoneInfo, start: datetime, end: datetime) -> list[int]:
    """Return the times after `start` up to `end`, minute by minute."""
    found = set()
    if expression[0].text.startswith("*") or expression[1].text.startswith("*"):
        moment = start + MINUTE
        while moment <= end:
            if matches(moment.astimezone(zone), expression):
                found.add(int(moment.timestamp()))
            moment += MINUTE
        return sorted(found)
    wall, last = (moment.astimezone(zone).replace(tzinfo=None) for moment in (start - 4 * 60 * MINUTE, end))
    while wall <= last:
        if matches(wall, expression):
            real = wall
            while (moment := real.replace(tzinfo=zone).astimezone(UTC)).astimezone(zone).replace(tzinfo=None) != real:
                real += MINUTE  # the clocks skip it
            if start < moment <= end:
                found.add(int(moment.timestamp()))
        wall += MINUTE
    return sorted(found)


def write(expression: tuple[Field, ...]) -> str:
    return " ".join(field.text for field in expression)


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


@pytest.mark.quick("Europe/Paris")
@pytest.mark.parametrize("zone", CHANGES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_its_times_are_those_of_a_model_that_looks_at_every_minute(zone: str, data: st.DataObject) -> None:
    expression = data.draw(EXPRESSIONS)
    start = datetime.fromisoformat(data.draw(st.sampled_from(CHANGES[zone]))).replace(tzinfo=UTC)
    start += data.draw(st.integers(0, 2 * 24 * 60)) * MINUTE
    end = start + WINDOW
    expected = list_times(expression, ZoneInfo(zone), start, end)
    try:
        cron = Cron(write(expression), zone)
    except CronError:
        cron = None
    if cron is None:  # 30 February, say
        assert not expected
        return
    assert list(takewhile(lambda time: time <= seconds(end), cron.walk(seconds(start)))) == expected
    assert cron.after(seconds(start)) == (expected[0] if expected else cron.after(seconds(end)))
    for moment in (end, start + WINDOW / 2):
        before = [time for time in expected if time <= seconds(moment)]
        if before:
            assert cron.newest(seconds(moment)) == before[-1]


def list_next(cron: Cron, after: str, count: int) -> list[str]:
    """Return the next times as the UTC clock shows them."""
    moment = seconds(datetime.fromisoformat(after))
    return [f"{datetime.fromtimestamp(time, UTC):%d %H:%M}" for time in islice(cron.walk(moment), count)]


SPRING = {"Europe/Paris": "2026-03-28T12:00Z", "America/New_York": "2026-03-07T12:00Z"}
AUTUMN = {"Europe/Paris": "2026-10-24T12:00Z", "America/New_York": "2026-10-31T12:00Z"}


@pytest.mark.parametrize(
    ("zone", "cron", "expected"),
    [
        ("Europe/Paris", "30 2 * * *", ["29 01:00", "30 00:30"]),
        ("Europe/Paris", "15,45 2 * * *", ["29 01:00", "30 00:15", "30 00:45"]),
        ("Europe/Paris", "0 2,3 * * *", ["29 01:00", "30 00:00", "30 01:00"]),
        ("America/New_York", "30 2 * * *", ["08 07:00", "09 06:30"]),
    ],
)
def test_a_fixed_time_that_the_clocks_skip_comes_once_right_after_the_gap(
    zone: str, cron: str, expected: list[str]
) -> None:
    assert list_next(Cron(cron, zone), SPRING[zone], len(expected)) == expected


@pytest.mark.parametrize(
    ("zone", "cron", "expected"),
    [
        ("Europe/Paris", "30 2 * * *", ["25 00:30", "26 01:30"]),
        ("America/New_York", "30 1 * * *", ["01 05:30", "02 06:30"]),
    ],
)
def test_a_fixed_time_that_the_clocks_repeat_comes_the_first_time_alone(
    zone: str, cron: str, expected: list[str]
) -> None:
    assert list_next(Cron(cron, zone), AUTUMN[zone], len(expected)) == expected


@pytest.mark.parametrize(("zone", "first"), [("Europe/Paris", 1), ("America/New_York", 6)])
def test_an_hourly_one_goes_on_every_hour_over_both_changes(zone: str, first: int) -> None:
    for after in (SPRING[zone], AUTUMN[zone]):
        moments = list(islice(Cron("0 * * * *", zone).walk(seconds(datetime.fromisoformat(after))), 30))
        assert {later - earlier for earlier, later in pairwise(moments)} == {3600}


def test_in_the_repeated_hour_it_does_not_go_back() -> None:
    second_time_round = seconds(datetime(2026, 10, 25, 2, 15, fold=1, tzinfo=ZoneInfo("Europe/Paris")))
    cron = Cron("30 2 * * *", "Europe/Paris")
    assert cron.after(second_time_round) == seconds(datetime(2026, 10, 26, 1, 30, tzinfo=UTC))
    assert cron.newest(second_time_round) == seconds(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))


@pytest.mark.parametrize("range", ["0-0", "00-0", "SUN-0", "sun-Sun"])
def test_a_range_of_one_has_no_steps(range: str) -> None:
    assert list_next(Cron(f"0 0 * * {range}/2"), "2026-11-23T00:00Z", 2) == ["29 00:00", "06 00:00"]


def test_a_leap_day_is_found_years_ahead() -> None:
    assert Cron("0 0 29 2 *").after(seconds(datetime(2026, 1, 1, tzinfo=UTC))) == seconds(
        datetime(2028, 2, 29, tzinfo=UTC)
    )


def test_either_day_will_do_where_both_are_given() -> None:
    assert list_next(Cron("0 0 13 * FRI"), "2026-11-05T00:00Z", 4) == ["06 00:00", "13 00:00", "20 00:00", "27 00:00"]
    assert list_next(Cron("0 0 13 * FRI"), "2026-12-11T00:00Z", 2) == ["13 00:00", "18 00:00"]


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_is_what_it_stands_for(alias: str) -> None:
    now = 1_800_000_000
    assert Cron(alias).after(now) == Cron(ALIASES[alias]).after(now) == Cron(f" {alias.upper()}").after(now)


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("60 * * * *", ["minute '60' can't be read: write 0 to 59"]),
        ("* 24 * * *", ["hour '24'"]),
        ("* * 0 * *", ["day of the month '0'"]),
        ("* * * 13 *", ["month '13'"]),
        ("* * * * 8", ["day of the week '8'"]),
        ("* * * JANUARY *", ["month 'JANUARY'"]),
        ("5-1 * * * *", ["minute '5-1'"]),
        ("*/0 * * * *", ["minute '*/0'"]),
        ("*/90 * * * *", ["minute '*/90'"]),
        ("0 8-18,*/25 * * *", ["hour '8-18,*/25'"]),
        ("x * * y *", ["minute 'x'", "month 'y'"]),
        ("* * * *", ["there are 4 fields; write five"]),
        ("0 * * * * *", ["there are 6 fields; write five"]),
        ("", ["there are 0 fields"]),
        ("@reboot", ["there is no '@reboot'; there are @yearly"]),
        ("0 0 30 2 *", ["it never comes: there is no date with day of the month '30', month '2'"]),
        ("0 0 31 APR,JUN *", ["it never comes"]),
        ("* * */20 * 1L", ["it never comes"]),
    ],
)
def test_what_is_wrong_is_named_by_its_part(expression: str, parts: list[str]) -> None:
    with pytest.raises(CronError) as caught:
        Cron(expression)
    assert len(caught.value.faults) == len(parts)
    for fault, part in zip(caught.value.faults, parts, strict=True):
        assert fault.startswith(part)


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=30) | st.lists(st.text("0123456789*,-/#LWMONJAN@ ", max_size=6), max_size=6).map(" ".join))
def test_any_text_is_a_cron_or_reported(text: str) -> None:
    with suppress(CronError):
        Cron(text).after(1_800_000_000)


@pytest.mark.parametrize(
    "name", ["", "Europe", "../etc/passwd", "/etc/localtime", "+02:00", "x" * 500, "Europe/Paris\0"]
)
def test_a_zone_that_is_none_is_reported(name: str) -> None:
    with pytest.raises(ZoneError, match="in the IANA database"):
        Cron("@daily", name)


def test_a_zone_that_is_nearly_one_is_reported_with_the_right_one() -> None:
    with pytest.raises(ZoneError, match="do you mean Europe/Paris"):
        Cron("@daily", "Europe/Pariss")


def test_there_are_five_fields() -> None:
    assert len(FIELDS) == 5


@pytest.mark.parametrize(("zone", "day"), [(zone, day) for zone, days in CHANGES.items() for day in days])
def test_the_newest_of_any_moment_is_the_last_that_was_not_after_it(zone: str, day: str) -> None:
    cron = Cron("*/30 1-3 * * *", zone)
    times = list(islice(cron.walk(int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())), 20))
    for before, time in pairwise(times):
        assert (cron.newest(time - 1), cron.newest(time), cron.newest(time + 1)) == (before, time, time)
        assert (cron.after(before), cron.after(time - 1)) == (time, time)


def test_a_range_has_steps() -> None:
    cron = Cron("1-5/2 0 * * *")
    assert [time // 60 for time in islice(cron.walk(0), 3)] == [1, 3, 5]


@pytest.mark.parametrize("expression", ["*/60 * * * *", "0 */24 * * *", "0 0 */31 * *", "0 0 1 */12 *", "0 0 * * */7"])
def test_a_step_may_be_as_long_as_its_field(expression: str) -> None:
    assert Cron(expression).after(0)


def test_faults_are_reported_in_one_line() -> None:
    assert str(CronError("minute '61'", "hour '25'")) == "minute '61'; hour '25'"
