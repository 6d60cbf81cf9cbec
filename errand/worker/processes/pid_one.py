"""What a worker has to do as process 1, in a container without an init.

The kernel gives it the orphans of all others, which stay as zombies until it reaps them, and keeps each signal from it
for which it has no handler (pid_namespaces(7)).
"""

import os
import signal
import sys
from collections.abc import Collection
from contextlib import suppress
from types import FrameType

FIRST = 1


def hear_stops() -> None:
    """Let SIGTERM end this process from here on, where it is process 1: until the worker has handlers of its own."""
    if os.getpid() == FIRST and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _leave)


def reap_adopted(children: Collection[int]) -> None:
    """Reap, where this is process 1, what others have left and has ended; whoever started `children` reaps those."""
    if os.getpid() != FIRST:
        return
    with suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid not in children:
            os.waitpid(ended.si_pid, 0)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
