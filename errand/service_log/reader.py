"""Who reads the lines: a person at a terminal or under `errand up`, otherwise a program."""

import os
from typing import Any

UP = "ERRAND_UP"  # set by `errand up`


def is_read_along(stream: Any) -> bool:
    """Return whether a person reads a stream: with ERRAND_LOCAL, under `errand up`, or on a terminal."""
    is_local = os.environ.get("ERRAND_LOCAL", "").lower() in ("1", "true", "yes", "on")
    return is_local or is_under_up() or is_terminal(stream)


def is_under_up() -> bool:
    """Return whether `errand up` runs this process, and writes the time before each line."""
    return UP in os.environ


def is_terminal(stream: Any) -> bool:
    """Return whether a stream, which may be closed or None, is a terminal."""
    return hasattr(stream, "isatty") and not stream.closed and bool(stream.isatty())
