"""Ctrl-C, from the terminal to an orderly end."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):  # no `except Exception` on its way is to take it for a fault
    """Raised in the main thread by Ctrl-C, SIGTERM or a terminal that was closed."""


@contextmanager
def raise_on_interrupt() -> Iterator[None]:
    """Turn the first of these signals into Interrupted; a second Ctrl-C is not to leave processes behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for other in ENDING:
            # Not SIG_IGN: a process that is being started would inherit it, and not end when it is asked to.
            signal.signal(other, lambda *_: None)
        raise Interrupted

    # nohup has SIGHUP ignored, and means it.
    wanted = [number for number in ENDING if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in wanted}
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
    # SIGTTOU is what a background group gets for asking; a Ctrl-Z that `make` doesn't see would freeze the terminal.
    ignored = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTTOU, signal.SIGTSTP)}
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(0, before)
        for number, handler in ignored.items():
            signal.signal(number, handler)
