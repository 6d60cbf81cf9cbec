"""Standard streams that may be closed, or hold ASCII alone: neither changes what a command does."""

import os
import sys
from io import TextIOWrapper
from typing import Any, TextIO


class SteadyOutput:
    """A text stream that throws away what nobody reads any more, and escapes what its encoding lacks.

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
            self._let_go()
            return len(text)

    def flush(self) -> None:
        """Flush it."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._let_go()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _let_go(self) -> None:
        """Send what is still kept, and all that comes, to nowhere: the interpreter flushes once more at its end."""
        self.is_closed = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


def steady_streams() -> None:
    """Open what was closed from the start, as `errand up <&-` has it, and put such streams in the place of the outputs.

    Else the next file that is opened, of a lock or a socket, would be the standard input of every process that follows.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # of the free numbers a file gets the lowest
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, closefd=False)
    for number, name in enumerate(("stdout", "stderr"), 1):
        stream = getattr(sys, name)
        setattr(sys, name, SteadyOutput(os.fdopen(number, "w", closefd=False) if stream is None else stream))


def is_read() -> bool:
    """Return whether somebody may still read the standard output."""
    return not getattr(sys.stdout, "is_closed", False)
