"""Where an error came from, without what it says: a message may hold a payload, an address or a secret."""

import traceback
from typing import Any

from errand.contract.errors import name_type, read_frames

FRAMES = 50  # of an error, the innermost; a recursion has a thousand
ERRORS = 10  # of a chain, the last; an error raised again and again has many causes
_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"


def format_places(error: BaseException) -> str:
    """Return the tracebacks of an error and its causes as Python prints them, but without the errors' messages."""
    parts = [_format_one(error)]
    while len(parts) < 2 * ERRORS - 1:
        cause, context = _read(error, "__cause__"), _read(error, "__context__")
        before = cause or (None if _read(error, "__suppress_context__") else context)
        if before is None:
            break
        parts[:0] = [_format_one(before), _CAUSE if cause else _CONTEXT]
        error = before
    return "".join(parts).rstrip()


def _format_one(error: BaseException) -> str:
    frames = traceback.extract_tb(read_frames(error), limit=-FRAMES)
    head = "Traceback (most recent call last):\n" if frames else ""
    return f"{head}{''.join(traceback.format_list(frames))}{name_type(error)}\n"


def _read(error: BaseException, name: str) -> Any:
    """Return an attribute as the interpreter keeps it: in an error's class a job's own code may stand in its place."""
    return vars(BaseException)[name].__get__(error)
