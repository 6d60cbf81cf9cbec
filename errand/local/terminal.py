"""Ctrl-C, from the terminal to an orderly end."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):  # so that no `except Exception` on the way catches it
    """Raised in the main thread by Ctrl-C, SIGTERM or a terminal that was closed."""


@contextmanager
def raise_on_interrupt() -> Iterator[None]:
    """Turn the first of these signals into Interrupted, and drop more: a second Ctrl-C must not leave processes."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for other in ENDING:
            # Not SIG_IGN: a process that is being started would inherit it, and not end when asked to.
            signal.signal(other, lambda *_: None)
        raise Interrupted

    # Under nohup SIGHUP is ignored already, and stays so.
    wanted = [number for number in ENDING if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def own_foreground() -> Iterator[None]:
    """Make this process the terminal's foreground group: else Ctrl-C ends `make` with an error before we are done."""
    if not sys.stdin.isatty() or os.getpgrp() == os.getpid() or os.tcgetpgrp(0) != os.getpgrp():
        yield
        return
    before = os.getpgrp()
    # A background group that asks for the terminal gets SIGTTOU; a Ctrl-Z that `make` doesn't see would freeze it.
    ignored = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTTOU, signal.SIGTSTP)}
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(0, before)
        for number, handler in ignored.items():
            signal.signal(number, handler)
