"""Lines at the end of a file, which is rotated by its size."""

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from errand.log.append import append
from errand.log.line import LogLine

MODE = 0o640
MOST_TURNS = 1000  # that the file is replaced while its lock is waited for


@dataclass(frozen=True)
class Rotation:
    """At what size a file is put aside, and how many of those before it are kept: `.1` is the newest."""

    limit_bytes: int
    keep: int


class FileSink:
    """Lines at the end of a file. All writers on one host take turns by its lock (flock), threads and processes."""

    def __init__(self, path: str, format: Callable[[LogLine], str], rotation: Rotation | None = None) -> None:
        self.name = f"the log file {path}"
        self._path = path
        self._format = format
        self._rotation = rotation

    def write(self, lines: Sequence[LogLine]) -> None:
        """Append lines in one go, all or none. Raises OSError."""
        data = "".join(f"{self._format(line)}\n" for line in lines).encode()
        for _ in range(MOST_TURNS):
            if self._try(data):
                return
        raise OSError(errno.EBUSY, "it is replaced by others again and again")

    def _try(self, data: bytes) -> bool:
        """Return whether they are written; if not, the file was put aside, by somebody else or here."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            found = os.fstat(descriptor)
            if not _is_at(self._path, found):
                return False
            if self._rotation and _is_full(found, found.st_size + len(data), self._rotation):
                with suppress(FileNotFoundError):  # another program has been at them
                    _rotate(os.path.realpath(self._path), self._rotation.keep)
                return False
            append(descriptor, data)
            return True
        finally:
            os.close(descriptor)  # some file systems tell here that the disk is full


def _is_at(path: str, found: os.stat_result) -> bool:
    """Return whether an open file is the one at its path still: it may be renamed or deleted, by logrotate as well."""
    try:
        return os.path.samestat(os.stat(path), found)
    except FileNotFoundError:
        return False


def _is_full(found: os.stat_result, size: int, rotation: Rotation) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_size > 0 and size > rotation.limit_bytes


def _rotate(path: str, keep: int) -> None:
    """Rename a file to `.1`, and those before it to the next number, the oldest first: where this stops, none is lost.

    They are moved up to the first number that is free. The last one is replaced.
    """
    last = next((number for number in range(1, keep) if not os.path.lexists(f"{path}.{number}")), keep)
    for number in range(last, 1, -1):
        os.rename(f"{path}.{number - 1}", f"{path}.{number}")
    os.rename(path, f"{path}.1")
