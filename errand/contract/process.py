"""The process that runs an attempt, and those that a job forks from it."""

import os
import sys
import traceback
from contextlib import suppress
from typing import NoReturn


class OneProcess:
    """Let only the process that entered the block leave it; one that was forked inside ends where it would come out.

    `os.fork` in a job returns twice, and a job that forgets to end the second process comes out of `run` with it: that
    must not go on as a second worker. It ends as a program would that ended in this way, with its output flushed.
    """

    __slots__ = ("_pid",)

    def __enter__(self) -> None:
        self._pid = os.getpid()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if os.getpid() != self._pid:
            leave(0 if error is None else _find_exit_code(error))


def leave(code: int) -> NoReturn:
    """Write out what this process has printed and end it at once, whatever is wrong with its streams."""
    try:
        flush()
    finally:
        os._exit(code & 0xFF)


def flush() -> None:
    """Write out what this process has printed, as far as its streams allow: a job may have closed or replaced them."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):
            stream.flush()


def _find_exit_code(error: BaseException) -> int:
    """Return the exit code of a program that `error` ended; print what Python would print."""
    with suppress(BaseException):
        if isinstance(error, SystemExit):
            if error.code is None or isinstance(error.code, int):
                return error.code or 0
            print(error.code, file=sys.stderr)
        else:
            traceback.print_exception(error)
    return 1
