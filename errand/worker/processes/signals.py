"""Signals as something that a select() loop waits on."""

import os
import signal
import time
from collections import deque
from contextlib import suppress
from types import FrameType
from typing import Self


class Signals:
    """Notes SIGTERM and SIGINT while its block runs; SIGCHLD only wakes."""

    def __init__(self) -> None:
        self._came: deque[tuple[int, float]] = deque()

    def __enter__(self) -> Self:
        self._out, self._in = os.pipe()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        self._wakeup = signal.set_wakeup_fd(self._in, warn_on_full_buffer=False)
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        self._handlers = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self.close()

    def close(self) -> None:
        """Close the pipe alone: in a process that was forked inside the block."""
        os.close(self._out)
        os.close(self._in)

    def fileno(self) -> int:
        """Return what becomes readable when a signal has come."""
        return self._out

    def read(self) -> list[tuple[int, float]]:
        """Return the stop signals that have come, and when, by the monotonic clock."""
        with suppress(BlockingIOError):
            os.read(self._out, 1024)
        came = list(self._came)
        self._came.clear()
        return came

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._came.append((number, time.monotonic()))
