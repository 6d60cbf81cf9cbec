"""A child process: what it does before it runs, and what it leaves."""

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """End with the thread that started this process, where the system can (Linux, prctl(2))."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def kill_session(leader: int) -> None:
    """Kill what lives in the session of `leader`, in whatever group, where the system tells (Linux, /proc)."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            session = stat.read_text(errors="replace").rpartition(")")[2].split()[3]
            if int(session) == leader:
                os.kill(int(stat.parent.name), signal.SIGKILL)


def describe_end(code: int) -> str:
    """Return how a process with this `returncode` ended, in words."""
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
