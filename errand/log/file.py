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

MODE = 0o640  # lines may hold personal data: the owner writes, the group reads
MOST_TURNS = 1000  # how often the file may be replaced while its lock is waited for; more is a fault of others


@dataclass(frozen=True)
class Rotation:
    """At what size a file is renamed to `.1`, and how many such files are kept: `.1` is the newest."""

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
        """Return whether the lines are written; if not, the file was rotated, by another program or here."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            found = os.fstat(descriptor)
            if not _is_at(self._path, found):
                return False
            if self._rotation and _is_full(found, found.st_size + len(data), self._rotation):
                with suppress(FileNotFoundError):  # another program has moved them
                    _rotate(os.path.realpath(self._path), self._rotation.keep)
                return False
            append(descriptor, data)
            return True
        finally:
            os.close(descriptor)  # some file systems report only here that the disk is full


def _is_at(path: str, found: os.stat_result) -> bool:
    """Return whether an open file is still the one at its path: others (logrotate) may rename or delete it."""
    try:
        return os.path.samestat(os.stat(path), found)
    except FileNotFoundError:
        return False


def _is_full(found: os.stat_result, size: int, rotation: Rotation) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_size > 0 and size > rotation.limit_bytes


def _rotate(path: str, keep: int) -> None:
    """Rename a file to `.1`, and older ones to the next number, the oldest first: if this is interrupted, none is lost.

    Files move up as far as the first free number; with none free the oldest is replaced.
    """
    last = next((number for number in range(1, keep) if not os.path.lexists(f"{path}.{number}")), keep)
    for number in range(last, 1, -1):
        os.rename(f"{path}.{number - 1}", f"{path}.{number}")
    os.rename(path, f"{path}.1")
