"""Ctrl-C, from the terminal to an orderly end."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(Exception):  # noqa: N818 - a request, not a fault
    """Raised in the main thread by Ctrl-C or SIGTERM."""


@contextmanager
def raise_on_interrupt() -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into Interrupted; a second Ctrl-C is not to leave processes behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Interrupted

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def own_foreground() -> Iterator[None]:
    """Be the terminal's own foreground group, so that Ctrl-C does not end `make` with an error before we are done."""
    if not sys.stdin.isatty() or os.getpgrp() == os.getpid() or os.tcgetpgrp(0) != os.getpgrp():
        yield
        return
    before = os.getpgrp()
    ignored = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # what a background group gets for asking
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(0, before)
        signal.signal(signal.SIGTTOU, ignored)
