"""Appending to a file or a pipe that others write to as well, where a crash may have left half a line."""

import errno
import os
import select
import stat

POLL_MS = 1000  # then the write is tried again, whatever poll() missed


def append(descriptor: int, data: bytes) -> None:
    """Append whole lines, all of them or none; the caller holds the lock.

    An unfinished last line, which a crash or another program has left, is closed first. Raises OSError; what was
    written by then is taken back where that can be done: from a file to which nobody has added since.
    """
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):  # what is in a pipe or on a terminal can't be taken back
        _write(descriptor, data)
        return
    if _is_unfinished(descriptor, found.st_size):
        data = b"\n" + data
    written = 0
    try:
        while written < len(data):
            written += os.write(descriptor, memoryview(data)[written:])
    except BaseException:
        _take_back(descriptor, found.st_size, written)
        raise


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # another user of the pipe has made it so; half a line would be worse than waiting
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll(POLL_MS)


def _is_unfinished(descriptor: int, size: int) -> bool:
    """Return whether a file's last line has no end.

    It is opened anew: the descriptor may be for writing only, and another file may be at the path by now.
    """
    if size == 0:
        return False
    try:
        reader = os.open(f"/dev/fd/{descriptor}", os.O_RDONLY)
    except OSError:  # the file may be written and not read, or there is no /proc
        return False
    try:
        return os.pread(reader, 1, size - 1) != b"\n"
    finally:
        os.close(reader)


def _take_back(descriptor: int, size: int, written: int) -> None:
    """Cut a file to its size before `written` bytes, unless others have added to it since: then the torn line stays."""
    if written and os.fstat(descriptor).st_size == size + written:
        try:
            os.ftruncate(descriptor, size)
        except OSError as error:  # a file that may only be appended to (chattr +a)
            if error.errno not in (errno.EPERM, errno.EACCES):
                raise
            return
        os.lseek(descriptor, size, os.SEEK_SET)  # standard output may not be open for appending
