"""How a line that a job has printed looks in the worker's own output."""

from collections.abc import Callable

FormatPrinted = Callable[[str, str, str, str], str]


def format_printed(job_id: str, type: str, stream: str, text: str) -> str:
    """Return the line without its end: the job before what it printed, as in the worker's own lines about it."""
    return f"{type} {job_id}: {text}"
