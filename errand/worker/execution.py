"""An execution of a job, as a worker has taken it."""

import time
from typing import NamedTuple


class JobTimes(NamedTuple):
    """When a job was stored and when it came into its queue, as RQ writes it, '' where nobody has noted that.

    `expires_at` is when it expires, in seconds since the epoch by Redis' clock, None where it does not.
    """

    created_at: str = ""
    enqueued_at: str = ""
    expires_at: float | None = None


class Execution(NamedTuple):
    """One execution of a job: RQ's name for an attempt that a worker has taken. Lifetimes are RQ's, '' without one.

    It was taken at `started` in seconds since the epoch, by Redis' clock, which was `taken_at` in monotonic time.
    `attempt` is its number, `losses` how many executions of the job were lost before it. `damage` says why its payload
    can't be read, "" where it can.
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
    times: JobTimes = JobTimes()
    attempt: int = 1
    damage: str = ""

    @property
    def member(self) -> str:
        """How RQ's registries and our leases name it."""
        return f"{self.job_id}:{self.id}"

    def now(self) -> float:
        """Return the time in seconds since the epoch: when it started, and monotonic time since."""
        return self.started + time.monotonic() - self.taken_at
