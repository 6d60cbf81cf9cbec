"""A log line, its level, and how it is written: on one line, whatever it holds."""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator

# What can end a line or reverse its direction: C0 and C1 controls, line and paragraph separators, bidi controls.
_FORGING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_encode = json.JSONEncoder(ensure_ascii=False).encode

# Other names of the eight severities, in syslog.conf(5), RFC 5424 and Python's logging.
_OTHER_NAMES = {
    "emerg": "emergency",
    "panic": "emergency",
    "crit": "critical",
    "fatal": "critical",
    "err": "error",
    "warn": "warning",
    "informational": "info",
}


def read_level(level: Any) -> Any:
    """Return our name of a level, which may be in any case or another name (`WARN`); anything else unchanged."""
    if not isinstance(level, str):
        return level
    name = level.lower()
    return _OTHER_NAMES.get(name, name)


# The eight severities of RFC 5424, section 6.2.1.
Level = Annotated[
    Literal["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"],
    BeforeValidator(read_level),
]


class LogLine(NamedTuple):
    """One line: its time, what its job was given, and the job's id."""

    time: datetime
    level: str
    text: str
    attributes: dict[str, Any]
    job: str


def format_plain(line: LogLine) -> str:
    """Return the text alone, as in FastAPI's tutorial, plus a level other than info and attributes, if given."""
    head = "" if line.level == "info" else f"{line.level.upper()} "
    tail = f" {_encode(line.attributes)}" if line.attributes else ""
    return _escape(f"{head}{line.text}{tail}")


def format_json(line: LogLine) -> str:
    """Return a JSON object, its time in UTC with microseconds, so that lines sort by it."""
    time = line.time.astimezone(UTC).isoformat(timespec="microseconds")
    attributes = _encode(line.attributes) if line.attributes else "{}"
    said = f'"level": "{line.level}", "text": {_encode(line.text)}, "attributes": {attributes}'
    return _escape(f'{{"time": "{time}", {said}, "job": {_encode(line.job)}}}')


def _escape(line: str) -> str:
    """Write forging characters as \\uXXXX, which inside JSON strings means the same character."""
    if line.isprintable():  # no forging character is
        return line
    return _FORGING.sub(lambda match: f"\\u{ord(match[0]):04x}", line)
