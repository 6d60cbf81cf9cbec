"""Standard streams that may be closed, or only take ASCII: neither changes what a command does."""

import os
import sys
from io import TextIOWrapper
from typing import Any, TextIO


class SteadyOutput:
    """A text stream that drops what nobody reads any more, and escapes what its encoding lacks.

    A command whose reader has gone, `errand watch … | head -1`, ends with the exit code that it would have had.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_closed = False
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write a text."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._drop_rest()
            return len(text)

    def flush(self) -> None:
        """Flush it."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._drop_rest()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _drop_rest(self) -> None:
        """Send what is buffered, and all that follows, to nowhere: the interpreter flushes once more at its end."""
        self.is_closed = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


def steady_streams() -> None:
    """Make both outputs SteadyOutput, and open standard streams that were closed from the start (`errand up <&-`).

    Otherwise the next file that is opened, a lock or a socket, would be the standard input of every later process.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # a file gets the lowest free number
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, closefd=False)
    for number, name in enumerate(("stdout", "stderr"), 1):
        stream = getattr(sys, name)
        setattr(sys, name, SteadyOutput(os.fdopen(number, "w", closefd=False) if stream is None else stream))


def is_read() -> bool:
    """Return whether somebody may still read the standard output."""
    return not getattr(sys.stdout, "is_closed", False)
