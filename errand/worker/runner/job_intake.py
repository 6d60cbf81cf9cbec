"""How many jobs a runner takes, and when it takes no more."""

import time

from errand.worker.processes.memory import MemoryWatch
from errand.worker.records import Exchange
from errand.worker.runner.running_executions import RunningExecutions
from errand.worker.runner_plan import Plan
from errand.worker.shared.surroundings import Surroundings

RATE_SECONDS = 0.005  # at the earliest so soon is a rate asked again; it makes good what comes 50 ms late


class JobIntake:
    """Takes what its plan and the free places allow, as long as the queues give jobs.

    `taken` counts the jobs. `is_draining` is set once the process is to stop.
    """

    def __init__(self, plan: Plan, running: RunningExecutions, surroundings: Surroundings) -> None:
        self.taken = 0
        self.is_draining = False
        self._plan, self._running, self._surroundings = plan, running, surroundings
        self._memory = MemoryWatch(plan.most_mb)
        self._is_dry = False
        self._rated_at: float | None = None
        self._idle_since = time.monotonic()

    @property
    def is_closed(self) -> bool:
        """Whether it takes nothing any more: the process is to stop, or has too much memory."""
        return self.is_draining or self._memory.is_over

    def look_at_memory(self) -> bool:
        """Return whether the process has just been found to have too much memory."""
        return self._memory.look()

    def count_free(self) -> int:
        """Return how many jobs may be taken now."""
        if self.is_closed or not self._surroundings.is_open:
            return 0
        free = max(0, self._plan.threads - self._running.count)
        return free if self._plan.most_jobs is None else min(free, self._plan.most_jobs - self.taken)

    def count_next(self) -> int:
        """Return how many to take at once: half as many as there are threads at most; they run while ends go out."""
        return min(self.count_free(), -(-self._plan.threads // 2))

    @property
    def has_more(self) -> bool:
        """Whether there may be a job, and a place for it."""
        return not self._is_dry and self.count_free() > 0

    def limit_wait(self, seconds: float, now: float) -> float:
        """Return for how many of these seconds to wait: less where a type's rate lets a job start before."""
        if self._rated_at is None or self.count_free() <= 0:
            return seconds
        return max(0.0, min(seconds, self._rated_at - now))

    def note(self, exchange: Exchange, asked: int, has_reported: bool) -> None:
        """Note what an exchange brought that asked for so many jobs."""
        taken, wait_seconds = len(exchange.executions), exchange.wait_seconds
        self._is_dry = taken < asked and wait_seconds != 0
        self._rated_at = None if wait_seconds is None else time.monotonic() + max(wait_seconds, RATE_SECONDS)
        self.taken += taken
        if taken or has_reported:
            self._idle_since = time.monotonic()

    def look_again(self) -> None:
        """Ask the queues again: something was put into them."""
        self._is_dry = False

    @property
    def is_over(self) -> bool:
        """Whether it takes nothing any more, or its plan's end has come: a burst's, so many jobs, so long idle."""
        if self.is_closed:
            return True
        if self._running.has_beside or not self._surroundings.is_open:
            return False
        plan, idle_seconds = self._plan, time.monotonic() - self._idle_since
        return (
            (plan.burst and self._is_dry and self._rated_at is None)
            or (plan.most_jobs is not None and self.taken >= plan.most_jobs)
            or (plan.most_idle_seconds is not None and idle_seconds > plan.most_idle_seconds)
        )
