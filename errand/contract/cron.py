"""Cron expressions: when one is due in a time zone, and what is wrong with one that can't be read.

Clock changes follow Debian's cron, as cronsim does: a fixed time that the clocks skip comes at the first moment after
the gap, and one that they repeat comes once. Where the minute or the hour begins with `*`, the times are those that the
clock shows: what is skipped does not come, what is repeated comes twice.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
FIELDS = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day of the month": "1 to 31",
    "month": "1 to 12 or JAN to DEC",
    "day of the week": "0 to 7 or SUN to SAT, 0 and 7 being Sunday",
}
_STEPPED = re.compile(r"\b(\w+)-(\w+)/0*[1-9]\d*", re.ASCII)
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NUMBERS = {name: str(i) for i, name in (*enumerate(_MONTHS, 1), *enumerate(_DAYS))}
_LONGEST = (60, 24, 31, 12, 7)  # the longest step in each field
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # what does not come within 50 years of this never comes


class CronError(ValueError):
    """Raised for a cron expression that can't be read or never comes; `faults` names each part and the fix."""

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class ZoneError(ValueError):
    """Raised for a time zone that is not in the IANA database."""


class Cron:
    """One expression in one time zone. Moments are whole seconds since 1970, UTC."""

    def __init__(self, expression: str, timezone: str = "UTC") -> None:
        """Raise CronError and ZoneError."""
        self.expression, self.timezone = expression, timezone
        self._fields = _read_fields(expression)
        self._zone = read_zone(timezone)

    def after(self, moment: int) -> int | None:
        """Return the first time after `moment`, None where there is none within 50 years."""
        return next(self.walk(moment), None)

    def walk(self, moment: int) -> Iterator[int]:
        """Yield the times after `moment`, in order."""
        last, simulator = moment, CronSim(self._fields, datetime.fromtimestamp(moment, self._zone))
        for found in simulator:
            seconds = int(found.timestamp())
            # Begun in a repeated hour, cronsim first yields what came the first time round; where the clocks skip
            # midnight, it takes that for a time that they show.
            is_shown = simulator.fixup_tz or datetime.fromtimestamp(seconds, self._zone).hour in simulator.hours
            if seconds > last and is_shown:
                last = seconds
                yield seconds

    def newest(self, moment: int) -> int | None:
        """Return the last time up to and with `moment`, None where there is none within 50 years."""
        before = next(CronSim(self._fields, datetime.fromtimestamp(moment + 1, self._zone), reverse=True), None)
        if before is None:
            return None
        newest = int(before.timestamp())
        for later in self.walk(newest):  # in a repeated hour cronsim goes back further than it must
            if later > moment:
                break
            newest = later
        return newest


@cache
def read_zone(name: str) -> tzinfo:
    """Return the zone of an IANA name. Raises ZoneError."""
    if name == "UTC":
        return UTC  # cronsim is faster with it than with ZoneInfo("UTC")
    names = _list_zones()
    if name not in names:
        near = get_close_matches(name, names, 1)
        hint = f"; do you mean {near[0]}?" if near else "; write one like Europe/Paris or UTC"
        raise ZoneError(f"there is no time zone {name[:64]!r} in the IANA database{hint}")
    return ZoneInfo(name)


@cache
def _list_zones() -> frozenset[str]:
    """Return the names of all zones, once: each is a file, and looking at them all takes a while."""
    return frozenset(available_timezones())


@lru_cache(1024)  # each is read again for every occurrence; few services have more
def _read_fields(expression: str) -> str:
    """Return the five fields of an expression that comes at some time. Raises CronError."""
    text = expression.strip().lower()
    if text.startswith("@") and text not in ALIASES:
        raise CronError(f"there is no {expression[:32]!r}; there are {', '.join(ALIASES)}")
    parts = _STEPPED.sub(_shorten, ALIASES.get(text, expression)).split()
    if len(parts) != len(FIELDS):
        raise CronError(f"there are {len(parts)} fields; write five: {', '.join(FIELDS)}")
    if faults := [_describe_fault(i, part) for i, part in enumerate(parts) if not _is_readable(i, part)]:
        raise CronError(*faults)
    fields = " ".join(parts)
    try:
        next(CronSim(fields, _EARLIEST))
    except (CronSimError, StopIteration):
        days = f"day of the month {parts[2]!r}, month {parts[3]!r} and day of the week {parts[4]!r}"
        raise CronError(f"it never comes: there is no date with {days}") from None
    return fields


def _shorten(stepped: re.Match[str]) -> str:
    """Return a range with a step, of a single number without the step: cronsim reads 5-5/2 as 5-59/2."""
    first, last = (_NUMBERS.get(end.upper(), end.lstrip("0") or "0") for end in stepped.groups())
    return stepped[1] if first == last else stepped[0]


def _is_readable(place: int, part: str) -> bool:
    """Return whether a field by itself can be read."""
    if any(int(step) > _LONGEST[place] for step in re.findall(r"/(\d{1,9})(?=,|$)", part)):
        return False  # cronsim takes */90 for */60
    parts = ["*"] * len(FIELDS)
    parts[place] = part
    try:
        CronSim(" ".join(parts), _EARLIEST)
    except CronSimError:
        return False
    return True


def _describe_fault(place: int, part: str) -> str:
    name = list(FIELDS)[place]
    return f"{name} {part[:32]!r} can't be read: write {FIELDS[name]}, *, lists (1,2), ranges (1-5) and steps (*/5)"
