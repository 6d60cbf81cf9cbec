"""Standard output and error that may be closed, or hold ASCII alone: neither changes what a command does."""

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


def steady_outputs() -> None:
    """Put such streams in the place of this process's two; one that was closed from the start is one nobody reads."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        setattr(sys, name, SteadyOutput(open(os.devnull, "w") if stream is None else stream))  # noqa: SIM115


def is_read() -> bool:
    """Return whether somebody may still read the standard output."""
    return not getattr(sys.stdout, "is_closed", False)
