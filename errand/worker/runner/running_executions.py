"""The executions that a runner answers for."""

import time
from collections.abc import Collection, Iterable

from errand.worker.attempt import JobStopped, build_timeout
from errand.worker.execution import Execution
from errand.worker.runner.threads import RunningExecution, Threads


class RunningExecutions:
    """Those in the runner's threads, and those beside it in other processes; each takes a place."""

    def __init__(self, threads: Threads, beside: Iterable[str]) -> None:
        self._threads = threads
        self._here: dict[str, tuple[RunningExecution, float]] = {}
        self._beside = set(beside)
        self._abandoned: set[str] = set()

    @property
    def count(self) -> int:
        """How many places are taken."""
        return len(self._here) + len(self._beside)

    @property
    def members(self) -> Collection[str]:
        """Those in threads."""
        return self._here.keys()

    @property
    def has_beside(self) -> bool:
        """Whether other processes still run some."""
        return bool(self._beside)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs in a thread that is waited for."""
        return not self._here.keys() - self._abandoned

    def start(self, execution: Execution) -> None:
        """Run one in a thread; it is interrupted when its time is over."""
        self._here[execution.member] = self._threads.start(execution), time.monotonic() + execution.timeout_seconds

    def add_beside(self, member: str) -> None:
        """Count one that another process is to run."""
        self._beside.add(member)

    def free(self, member: str) -> None:
        """Free the place of one that ran beside."""
        self._beside.discard(member)

    def end(self, running: RunningExecution) -> None:
        """Free the place of one whose thread is done with it."""
        self._here.pop(running.execution.member, None)
        self._threads.take_back(running)

    def stop(self, member: str) -> None:
        """Interrupt one that somebody stopped, if it is here."""
        if member in self._here:
            running = self._here[member][0]
            running.is_stopped = True
            running.interrupt(JobStopped)

    def abandon(self, members: Iterable[str]) -> None:
        """Wait no longer for those that obey no interruption."""
        self._abandoned.update(members)

    def interrupt_overdue(self, now: float) -> None:
        """Interrupt those whose time is over."""
        for running, deadline in self._here.values():
            if now > deadline:
                running.interrupt(build_timeout(running.execution.timeout_seconds))
