"""A schedule's times in words, for the usual cron expressions; others are shown as they are written."""

import re
from functools import lru_cache

from errand.contract.cron import ALIASES
from errand.store.schedules.schedule import Schedule

UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
NUMBER, STEP = r"\d{1,2}", r"\*/(\d{1,2})"
TIMES_LIMIT = 4  # of a day; more are shorter as an expression


def describe_rhythm(schedule: Schedule) -> str:
    """Return when its times come: «every 5 minutes», «at 07:00, Monday to Friday»; else what was written."""
    if schedule.every_seconds:
        return describe_every(schedule.every_seconds)
    return describe_cron(schedule.cron or "")


def split_every(seconds: int) -> tuple[int, str]:
    """Return a span as a whole number of the largest unit."""
    name, size = next((name, size) for name, size in UNITS if seconds % size == 0)
    return seconds // size, name


def describe_every(seconds: int) -> str:
    """Return a span as «every 5 minutes»."""
    count, unit = split_every(seconds)
    return f"every {unit}" if count == 1 else f"every {count:,} {unit}s"


@lru_cache(1024)
def describe_cron(expression: str) -> str:
    """Return an expression in words where it is a usual one, else as it is written."""
    fields = ALIASES.get(expression.strip().lower(), expression).upper().split()
    if len(fields) != 5:
        return expression
    minute, hour, day, month, weekday = fields
    time, days = _describe_time(minute, hour), _describe_days(day, month, weekday)
    return expression if time is None or days is None else f"{time}{days}"


def _describe_time(minute: str, hour: str) -> str | None:
    if hour == "*":
        if minute == "*":
            return "every minute"
        if step := re.fullmatch(STEP, minute):
            return f"every {int(step[1])} minutes" if 60 % int(step[1]) == 0 else None
        return f"every hour at :{int(minute):02}" if re.fullmatch(NUMBER, minute) else None
    if not re.fullmatch(NUMBER, minute):
        return None
    if step := re.fullmatch(STEP, hour):
        return f"every {int(step[1])} hours at :{int(minute):02}" if 24 % int(step[1]) == 0 else None
    hours = hour.split(",")
    if len(hours) > TIMES_LIMIT or not all(re.fullmatch(NUMBER, one) for one in hours):
        return None
    return "at " + _join([f"{int(one):02}:{int(minute):02}" for one in hours])


def _describe_days(day: str, month: str, weekday: str) -> str | None:
    named = _name_all(weekday, DAYS, 0)
    months = _name_all(month, MONTHS, 1)
    if named is None or months is None or (day != "*" and named):
        return None
    if not re.fullmatch(rf"\*|L|{NUMBER}", day):
        return None
    parts = [named] if named else []
    if day != "*":
        parts.append("on the last day" if day == "L" else f"on day {int(day)}")
        parts[-1] += f" of {months}" if months else " of each month"
    elif months:
        parts.append(f"in {months}")
    return "".join(f", {part}" for part in parts)


def _name_all(field: str, names: tuple[str, ...], first: int) -> str | None:
    """Return a field of names as words, "" for all, None where it is something else."""
    if field == "*":
        return ""
    parts = []
    for part in field.split(","):
        ends = [_name(one, names, first) for one in part.split("-")]
        if len(ends) > 2 or None in ends:
            return None
        parts.append(" to ".join(str(end) for end in ends))
    return _join(parts)


def _name(text: str, names: tuple[str, ...], first: int) -> str | None:
    if re.fullmatch(NUMBER, text):
        place = int(text) - first
        return names[place] if 0 <= place < len(names) else None
    return next((name for name in names if name[:3].upper() == text), None)


def _join(parts: list[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
