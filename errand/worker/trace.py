"""Errors in the forms that are stored: RQ's compressed traceback, and the status's type and message."""

import traceback
import zlib
from base64 import b64encode

LIMIT = 64 * 1024


def format_trace(error: BaseException) -> str:
    """Return the traceback as text that UTF-8 can hold, its middle left out where it is very long."""
    text = "".join(traceback.format_exception(error)).encode("utf-8", "replace").decode()
    return text if len(text) <= LIMIT else f"{text[: LIMIT // 2]}\n…\n{text[-LIMIT // 2 :]}"


def pack_trace(text: str) -> str:
    """Return a traceback as RQ 3.0.0 keeps it in a result (Result.serialize)."""
    return b64encode(zlib.compress(text.encode())).decode()


LOST_TRACE = pack_trace("Lost: the process that ran it died again and again; what it ran seems to end it")
