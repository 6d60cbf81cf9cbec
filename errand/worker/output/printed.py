"""How a line that a job has printed looks in the worker's own output."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from errand.service_log.reader import is_read_along

FormatPrinted = Callable[[str, str, str, str], str]


def choose_form() -> FormatPrinted:
    """Return the form that fits this process' output: a person reads along, or a machine."""
    return format_printed if is_read_along(sys.stdout) else format_printed_json


def format_printed(job_id: str, type: str, stream: str, text: str) -> str:
    """Return the line without its end: the job before what it printed, as in the worker's own lines about it."""
    return f"{type} {job_id}: {text}"


def format_printed_json(job_id: str, type: str, stream: str, text: str) -> str:
    """Return it as a line of JSON, for a log that machines read."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    shown = {"time": time, "level": "info", "event": text, "job_id": job_id, "type": type, "logger": stream}
    return json.dumps(shown, separators=(",", ":"))
