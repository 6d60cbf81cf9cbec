"""Errors in the forms that are stored: RQ's compressed traceback, and the status's type and message."""

import traceback
import zlib
from base64 import b64decode, b64encode

from errand.contract.errors import name_type, read_frames, read_message

LIMIT = 64 * 1024  # characters; deep recursion makes far longer ones, of which the beginning and the end say all


def format_trace(error: BaseException) -> str:
    """Return the traceback as text that UTF-8 can hold, its middle left out where it is very long."""
    text = _format(error).encode("utf-8", "replace").decode()
    return text if len(text) <= LIMIT else f"{text[: LIMIT // 2]}\n…\n{text[-LIMIT // 2 :]}"


def _format(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except BaseException:  # what is read there may be a job's code: __cause__, __notes__, a SyntaxError's fields
        frames = traceback.format_tb(read_frames(error))
        head = "Traceback (most recent call last):\n" if frames else ""
        return f"{head}{''.join(frames)}{name_type(error)}: {read_message(error)}\n"


def pack_trace(text: str) -> str:
    """Return a traceback as RQ 3.0.0 keeps it in a result (Result.serialize)."""
    return b64encode(zlib.compress(text.encode())).decode()


def unpack_trace(packed: str) -> str:
    """Return the text of a packed traceback."""
    return zlib.decompress(b64decode(packed)).decode()


LOST_TRACE = pack_trace("Lost: the process that ran it died again and again; what it ran seems to end it")
