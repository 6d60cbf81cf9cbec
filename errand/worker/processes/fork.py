"""A forked process: how it begins, and how it ends with all that it started."""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
STOPS = (signal.SIGTERM, signal.SIGINT)
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def fork(name: str, main: Callable[[], None]) -> int:
    """Run `main` in a child with a process group of its own; return its process id.

    The child is called `name` (15 letters at most) and dies with this process, where the system can (Linux, prctl(2)).
    Fork before any thread starts: a lock that another thread holds stays locked in the child for ever.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    # A stop that comes before the child has its own handlers must not get lost in ours.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    pid = os.fork()
    if pid == 0:
        _run(name, parent, main)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    with suppress(OSError):  # the child does it too: whoever comes first
        os.setpgid(pid, pid)
    return pid


def handle_stops(handler: Callable[..., None]) -> None:
    """Let SIGTERM and SIGINT call `handler` in this child, from the first one on that came since the fork."""
    for number in STOPS:
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def kill_group(pid: int) -> None:
    """Kill a child and everything that is still in its process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _run(name: str, parent: int, main: Callable[[], None]) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)  # it is the parent's
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with suppress(OSError):
            os.setpgid(0, 0)
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            _libc.prctl(_PR_SET_NAME, name.encode())
        if os.getppid() == parent:
            main()
            code = 0
    except (EOFError, BrokenPipeError):  # the parent is gone
        pass
    except BaseException:  # nothing may return into the parent's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
