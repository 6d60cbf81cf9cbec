"""The supervisor's children: the runner, and a process for each job that runs alone."""

import mmap
import os
import signal
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from errand.worker.execution import Execution
from errand.worker.processes.fork import fork, kill_group

_TIME = struct.Struct("d")


class Heartbeat:
    """When a runner's loop last went round, in memory that both processes see."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _TIME.size)
        self.beat()

    def beat(self) -> None:
        """Note that it goes round now."""
        _TIME.pack_into(self._memory, 0, time.monotonic())

    @property
    def silent_seconds(self) -> float:
        """How long ago that was."""
        beat_at: float = _TIME.unpack_from(self._memory)[0]
        return time.monotonic() - beat_at


class RunnerProcess:
    """A runner; `why` says why the supervisor ended it, `is_done` that it ended itself, `is_plans_end` by its plan.

    `taken` is how many jobs one has taken that has too much memory to take more, None of any other.
    """

    def __init__(self, prefix: str, main: Callable[[Connection, Heartbeat], None], end_seconds: float) -> None:
        self.prefix = prefix
        self.started_at = time.monotonic()
        self.retires_by: float | None = None
        self.why: str | None = None
        self.is_done = self.is_plans_end = False
        self.taken: int | None = None
        self.heartbeat = Heartbeat()
        self.orders, theirs = Pipe()

        def run() -> None:
            self.orders.close()
            main(theirs, self.heartbeat)

        self.pid = fork("errand-runner", run, end_seconds)
        theirs.close()

    def holds(self, member: str) -> bool:
        """Return whether this runner took the execution."""
        return member.rpartition(":")[2].startswith(self.prefix)

    @property
    def takes_jobs(self) -> bool:
        """Whether it may take more, as far as is known: it neither retires nor has too much memory."""
        return self.retires_by is None and self.taken is None

    def send(self, order: str, content: Any = None) -> None:
        """Send an order; to one that has ended nothing."""
        with suppress(OSError):
            self.orders.send((order, content))

    def receive(self) -> list[Execution]:
        """Return the executions that are to run alone; note what it says of itself."""
        executions = []
        with suppress(EOFError, OSError):
            while self.orders.poll():
                kind, content = self.orders.recv()
                if kind == "done":
                    self.is_done, self.is_plans_end = True, content
                elif kind == "full":
                    self.taken = content
                else:
                    executions.append(content)
        return executions

    def kill(self, why: str) -> None:
        """End it and what its jobs started."""
        self.why = self.why or why
        kill_group(self.pid)


class ChildProcess:
    """A process that runs one execution alone; `why` says why the supervisor ended it."""

    def __init__(self, execution: Execution, main: Callable[[Execution], None], end_seconds: float) -> None:
        self.execution = execution
        self.why: str | None = None
        self.pid = fork("errand-job", lambda: main(execution), end_seconds)

    def drain(self) -> None:
        """Let what its job raises from now on count as an interruption."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def kill(self, why: str) -> None:
        """End it and what its job started."""
        self.why = self.why or why
        kill_group(self.pid)


def reap(pid: int) -> int | None:
    """Return how a child ended, as an exit code or a negative signal, None while it lives; its group ends with it."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    if not ended:
        return None
    kill_group(pid)
    return os.waitstatus_to_exitcode(status)
