"""Where log lines go: a file of plain or JSON lines, or the worker's standard output."""

import fcntl
import json
import os
import re
import sys
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

# The eight severities of RFC 5424, section 6.2.1.
Level = Literal["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"]

# What can end a line or turn its direction round: C0 and C1 controls, line and paragraph separators, bidi controls.
_FORGING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class LogSettings(BaseSettings):
    """Where log lines go."""

    model_config = SettingsConfigDict(frozen=True)
    log_url: str = Field("stdout:", alias="LOG_URL")

    @field_validator("log_url")
    @classmethod
    def _check(cls, url: str) -> str:
        if url == "stdout:" or (url.startswith("file:") and url.endswith((".txt", ".jsonl"))):
            return url
        raise ValueError("write file:NAME.txt (plain lines), file:NAME.jsonl (JSON lines) or stdout:")


def write_line(url: str, id: str, level: Level, text: str, attributes: dict[str, Any]) -> None:
    """Append one whole line to `url`, whatever the text holds. Raises OSError."""
    if url == "stdout:":
        _append(sys.stdout.fileno(), _format_json(id, level, text, attributes))
        return
    path = url.removeprefix("file:")
    line = (
        _format_plain(level, text, attributes) if path.endswith(".txt") else _format_json(id, level, text, attributes)
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # a line that the kernel takes in two writes stays whole
        _append(descriptor, line)
    finally:
        os.close(descriptor)


def _append(descriptor: int, line: str) -> None:
    rest = f"{line}\n".encode()
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _format_plain(level: Level, text: str, attributes: dict[str, Any]) -> str:
    """Return the text alone, as the tutorial writes it; a level other than info and attributes are added if given."""
    head = "" if level == "info" else f"{level.upper()} "
    tail = f" {json.dumps(attributes, ensure_ascii=False)}" if attributes else ""
    return _escape(f"{head}{text}{tail}")


def _format_json(id: str, level: Level, text: str, attributes: dict[str, Any]) -> str:
    line = {"time": datetime.now(UTC).isoformat(), "level": level, "text": text, "attributes": attributes, "job": id}
    return _escape(json.dumps(line, ensure_ascii=False))


def _escape(line: str) -> str:
    """Write forging characters as \\uXXXX, which inside JSON strings means the same character."""
    return _FORGING.sub(lambda match: f"\\u{ord(match[0]):04x}", line)
