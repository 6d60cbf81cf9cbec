"""An execution of a job, as a worker has taken it."""

import time
from typing import NamedTuple


class Execution(NamedTuple):
    """One execution of a job: RQ's name for an attempt that a worker has taken. Lifetimes are RQ's, '' without one.

    It was taken at `started` in seconds since the epoch, by Redis' clock, which was `taken_at` in monotonic time.
    `created_at` is when the job was stored and `enqueued_at` when it came into its queue, as RQ writes them, '' where
    nobody has noted that. `attempt` is its number. `damage` says why its payload can't be had, "" where it can.
    `expires_at` is when the job expires, as `started`, None where it does not.
    """

    job_id: str
    id: str
    queue: str
    data: bytes
    timeout_seconds: float
    result_ttl: str
    failure_ttl: str
    description: str
    losses: int
    callback: str
    started: float
    taken_at: float = 0.0
    created_at: str = ""
    expires_at: float | None = None
    enqueued_at: str = ""
    attempt: int = 1
    damage: str = ""

    @property
    def member(self) -> str:
        """How RQ's registries and our leases name it."""
        return f"{self.job_id}:{self.id}"

    def now(self) -> float:
        """Return the time in seconds since the epoch: when it started, and monotonic time since."""
        return self.started + time.monotonic() - self.taken_at
