"""Where an error came from, without what it says: a message may hold a payload, an address or a secret."""

import traceback
from typing import Any

from errand.contract.errors import name_type, read_frames

FRAMES = 50  # the innermost; a recursion has a thousand
MOST = 10  # errors in a chain
_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"


def format_places(error: BaseException) -> str:
    """Return an error's traceback, with those of its causes, as Python prints it but for the errors' messages."""
    parts = [_format_one(error)]
    while len(parts) < 2 * MOST:
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
    """Return an attribute as the interpreter keeps it: an error's class may have code of a job's in its place."""
    return vars(BaseException)[name].__get__(error)
