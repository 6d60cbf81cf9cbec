"""The seam between the log job and where its lines go: a file, or the worker's standard output."""

import fcntl
import json
import os
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

# The eight severities of RFC 5424, section 6.2.1.
Level = Literal["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"]

# What can end a line or turn its direction round: C0 and C1 controls, line and paragraph separators, bidi controls.
_FORGING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class LogLine:
    """One line: the id of its job, and what the job was given."""

    job: str
    level: Level
    text: str
    attributes: dict[str, Any]


class LogSink(Protocol):
    """Takes lines, each whole, whatever its text holds; any number of workers may write at once."""

    def write(self, line: LogLine) -> None:
        """Append one line. Raises OSError."""


class StdoutSink:
    """JSON lines on the worker's standard output."""

    def write(self, line: LogLine) -> None:
        """Append one line. Raises OSError."""
        _append(sys.stdout.fileno(), _format_json(line))


class FileSink:
    """Lines at the end of a file, plain or JSON."""

    def __init__(self, path: str, is_plain: bool) -> None:
        self._path = path
        self._format = _format_plain if is_plain else _format_json

    def write(self, line: LogLine) -> None:
        """Append one line. Raises OSError."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # a line that the kernel takes in two writes stays whole
            _append(descriptor, self._format(line))
        finally:
            os.close(descriptor)


def open_sink(url: str) -> LogSink:
    """Return what a valid LOG_URL names; nothing is opened before the first line."""
    if url == "stdout:":
        return StdoutSink()
    path = url.removeprefix("file:")
    return FileSink(path, is_plain=path.endswith(".txt"))


def _append(descriptor: int, line: str) -> None:
    rest = f"{line}\n".encode()
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _format_plain(line: LogLine) -> str:
    """Return the text alone, as the tutorial writes it; a level other than info and attributes are added if given."""
    head = "" if line.level == "info" else f"{line.level.upper()} "
    tail = f" {json.dumps(line.attributes, ensure_ascii=False)}" if line.attributes else ""
    return _escape(f"{head}{line.text}{tail}")


def _format_json(line: LogLine) -> str:
    now = datetime.now(UTC).isoformat()
    fields = {"time": now, "level": line.level, "text": line.text, "attributes": line.attributes, "job": line.job}
    return _escape(json.dumps(fields, ensure_ascii=False))


def _escape(line: str) -> str:
    """Write forging characters as \\uXXXX, which inside JSON strings means the same character."""
    return _FORGING.sub(lambda match: f"\\u{ord(match[0]):04x}", line)
