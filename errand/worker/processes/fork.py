"""A forked process: how it begins, and how it ends with all that it started."""

import atexit
import ctypes
import os
import signal
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from errand.contract.process import flush, leave

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
STOPS = (signal.SIGTERM, signal.SIGINT)
SHORTEST_END_SECONDS = 1.0  # `atexit` callbacks get so long even without a grace
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


_own: list[Callable[[], object]] = []
_handlers: dict[int, Callable[..., None]] = {}


@contextmanager
def owning(close: Callable[[], object]) -> Iterator[None]:
    """Call `close` in every process that is forked while the block runs: what it closes is for this process alone.

    A pipe whose end a forked process keeps would hide that ours is gone.
    """
    _own.append(close)
    try:
        yield
    finally:
        _own.remove(close)


def fork(name: str, main: Callable[[], None], end_seconds: float) -> int:
    """Run `main` in a child with a process group of its own; return its process id.

    The child is called `name` (15 letters at most) and dies with this process, where the system can (Linux, prctl(2)).
    It ends as a Python program does: what is not a daemon thread ends, the `atexit` callbacks run. The kernel kills it
    when that takes more than `end_seconds`.
    Fork before any thread starts: a lock that another thread holds stays locked in the child for ever.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    # A stop that comes before the child has its own handlers must not get lost in ours.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    pid = os.fork()
    if pid == 0:
        _run(name, parent, main, max(end_seconds, SHORTEST_END_SECONDS))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    with suppress(OSError):  # the child does it too: whoever comes first
        os.setpgid(pid, pid)
    return pid


def handle_stops(handler: Callable[..., None]) -> None:
    """Let SIGTERM and SIGINT call `handler` in this child, from the first one on that came since the fork."""
    for number in STOPS:
        _handlers[number] = handler
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def kill_group(pid: int) -> None:
    """Kill a child and everything that is still in its process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _run(name: str, parent: int, main: Callable[[], None], end_seconds: float) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)  # it is the parent's
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with suppress(OSError):
            os.setpgid(0, 0)
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            _libc.prctl(_PR_SET_NAME, name.encode())
        _disown()
        _watch_forks()
        weakref.finalize._registry.clear()  # type: ignore[attr-defined] # what the parent is to clean up, at its end
        if os.getppid() == parent:
            main()
            code = 0
            _end(end_seconds)
    except (EOFError, BrokenPipeError):  # the parent is gone
        pass
    except BaseException:  # nothing may return into the parent's code
        with suppress(BaseException):
            traceback.print_exc()
    finally:
        leave(code)


def _watch_forks() -> None:
    """Let each process that is forked from here on, by a job, begin without what is ours.

    A stop signal that it gets meanwhile waits: our handler would keep it to itself.
    """
    masks = threading.local()

    def hold_stops() -> None:
        masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)

    def let_stops_go() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.before)

    def begin() -> None:
        _disown()
        let_stops_go()

    os.register_at_fork(before=hold_stops, after_in_parent=let_stops_go, after_in_child=begin)


def _disown() -> None:
    """Let go, in a process that was just forked, of what is its parent's alone: its pipes, and how it takes a stop."""
    for close in _own:
        with suppress(Exception):
            close()
    _own.clear()
    for number, handler in _handlers.items():
        if signal.getsignal(number) is handler:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)
    _handlers.clear()


def _end(most_seconds: float) -> None:
    """Do what the interpreter does at its end (Py_FinalizeEx), as far as a job may see it."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, most_seconds)
    flush()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
