"""How the pages show values: times, spans, counts, statuses, JSON, problems."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from markupsafe import Markup

from errand.api.http.problems import Problem

NONE = "–"
_WORD = re.compile(r"[a-z_]{1,30}")


def read_moment(text: str | None) -> datetime | None:
    """Return a time as Redis keeps it, in UTC; None where there is none or a damaged one."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@lru_cache(4096)  # an open page has the same times every second
def show_time(text: str | None, kind: str = "") -> Markup | str:
    """Return a time in UTC, which the pages' script puts into the viewer's zone.

    `kind` is an attribute by which console.js shows it as an age, a span or a time of day.
    """
    moment = read_moment(text)
    if moment is None:
        return NONE
    written = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    shown = f"{written[:10]} {written[11:19]} UTC"
    return Markup(f'<time datetime="{written}"{kind}>{shown}</time>')  # noqa: S704 - digits


def show_age(text: str | None) -> Markup | str:
    """Return a time that the pages' script shows as how long ago it was, or how soon it will be."""
    return show_time(text, " data-age")


def show_running_span(text: str | None) -> Markup | str:
    """Return a time that the pages' script shows as how long it has been since then."""
    return show_time(text, " data-span")


def show_clock(text: str | None) -> Markup | str:
    """Return a time that the pages' script shows without its day."""
    return show_time(text, " data-clock")


def show_seconds(seconds: float | None) -> str:
    """Return a span in the largest unit that fits: 12 ms, 3.2 s, 4 min 5 s, 2 h 3 min, 5 d 2 h."""
    if seconds is None:
        return NONE
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def show_span(start: str | None, end: str | None) -> str:
    """Return how long it was from one time to another."""
    begun, ended = read_moment(start), read_moment(end)
    if begun is None or ended is None:
        return NONE
    return show_seconds(max(0.0, (ended - begun).total_seconds()))


def show_number(number: float | None) -> str:
    """Return a number with commas."""
    return NONE if number is None else f"{number:,}"


def show_count(number: int, noun: str) -> str:
    """Return a number of things: 1 field, 2 fields."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@lru_cache(64)
def show_status(status: str | None) -> Markup:
    """Return a status as a pill: its name on its colour."""
    word = status or "running"
    name = f"is-{word}" if _WORD.fullmatch(word) else "is-other"
    return Markup('<span class="pill {}">{}</span>').format(name, word.replace("_", " "))


def write_json(value: Any) -> str:
    """Return a value as JSON that somebody reads or edits."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def describe_problem(problem: Problem) -> str:
    """Return what is wrong on one line, each error with the field or parameter that it is about."""
    errors = [(one.get("pointer") or one.get("parameter"), one["detail"]) for one in problem.extra.get("errors", ())]
    return "; ".join(f"{place}: {detail}" if place else detail for place, detail in errors) or problem.detail


FILTERS: dict[str, Callable[..., Any]] = {
    "time": show_time,
    "age": show_age,
    "span": show_running_span,
    "clock": show_clock,
    "seconds": show_seconds,
    "number": show_number,
    "status": show_status,
}
