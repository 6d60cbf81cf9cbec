"""The interface between the log job and where its lines go: a file, or the worker's standard output."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from errand.log.append import append
from errand.log.file import FileSink
from errand.log.line import LogLine, format_json, format_plain
from errand.log.settings import read_log_url

STDOUT, STDOUT_PATH = 1, "/dev/fd/1"


class LogSink(Protocol):
    """Takes lines, each whole, whatever its text holds; any number of workers may write at once."""

    name: str

    def write(self, lines: Sequence[LogLine]) -> None:
        """Append lines in one go, all or none where that can be done. Raises OSError."""


class StdoutSink:
    """JSON lines on the worker's standard output.

    Where that is a pipe or a terminal, what is written stays written: an error in the middle of a line leaves its
    beginning there.
    """

    name = "standard output"

    def write(self, lines: Sequence[LogLine]) -> None:
        """Append lines in one go. Raises OSError."""
        data = "".join(f"{format_json(line)}\n" for line in lines).encode()
        with _lock_stdout():
            append(STDOUT, data)


@contextmanager
def _lock_stdout() -> Iterator[None]:
    """Keep other threads and workers from writing between two parts of a line: a pipe takes 4 KiB in one piece.

    It is opened anew, since workers share the open file that they inherited, and with it any lock. Where that can't be
    done (it belongs to another user, or nobody reads it any more), lines are written without a lock.
    """
    try:
        lock = os.open(STDOUT_PATH, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        yield
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def open_sink(url: str) -> LogSink:
    """Return what a valid LOG_URL names; nothing is opened before the first line."""
    place = read_log_url(url)
    if not place.path:
        return StdoutSink()
    return FileSink(place.path, format_plain if place.path.endswith(".txt") else format_json, place.rotation)
