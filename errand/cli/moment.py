"""Times and spans, read as a person types them and shown as a person reads them."""

import re
from datetime import UTC, datetime, timedelta

from errand.cli.client.problem import WrongUsageError

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
SPAN_FORM = "write seconds, or 90s, 5m, 2h, 1d"
TIME_FORM = "write 2026-12-24T18:00, this machine's time, or with an offset: 2026-12-24T18:00:00+01:00"
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)", re.ASCII)


def read_span(text: str, option: str) -> float:
    """Return the seconds of `90`, `90s`, `5m`, `2h` or `1d`. Raises WrongUsageError."""
    match = _SPAN.fullmatch(text.strip())
    if not match:
        raise WrongUsageError(f"{option} {text!r}: {SPAN_FORM}")
    seconds = float(match[1]) * UNITS[match[2]]
    return int(seconds) if seconds.is_integer() else seconds


def write_span(seconds: int) -> str:
    """Return the span as `read_span` takes it, exactly: `90s`, `5m`, `2h`, `1d`."""
    unit = next(unit for unit in ("d", "h", "m", "s") if seconds % UNITS[unit] == 0)
    return f"{seconds // UNITS[unit]}{unit}"


def read_time(text: str, option: str) -> str:
    """Return a time as RFC 3339 with an offset; without one it is this machine's time. Raises WrongUsageError."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.astimezone()).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):
        raise WrongUsageError(f"{option} {text!r}: {TIME_FORM}") from None


def read_past(text: str, option: str) -> str:
    """Return a time, or so long ago (`2h`), as RFC 3339. Raises WrongUsageError."""
    if _SPAN.fullmatch(text.strip()):
        try:
            return (datetime.now(UTC) - timedelta(seconds=read_span(text, option))).isoformat(timespec="microseconds")
        except OverflowError:
            raise WrongUsageError(f"{option} {text!r}: that is longer ago than any job") from None
    return read_time(text, option)


def show_time(text: str | None) -> str:
    """Return an RFC 3339 time as this machine's clock had it, to the second, with its offset; "" for none."""
    if not text:
        return ""
    return datetime.fromisoformat(text).astimezone().isoformat(" ", "seconds")


def show_age(text: str | None) -> str:
    """Return how long ago a time was (`3 s ago`), or how far away it is (`in 5 min`); "" for none."""
    if not text:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()
    span = show_span(abs(seconds))
    return f"in {span}" if seconds < 0 else f"{span} ago"


def show_span(seconds: float) -> str:
    """Return a span in its largest unit: `3 s`, `5 min`, `2 h`, `4 d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size * 2:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
