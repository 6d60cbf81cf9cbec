"""An execution of a job as it was taken, and what it has to say."""

import time
from dataclasses import dataclass
from typing import NamedTuple


class Execution(NamedTuple):
    """One execution of a job; the lifetimes are RQ's, '' where it has none.

    It was taken at `started` in seconds since the epoch, by Redis' clock, which was `taken_at` in monotonic time.
    `created_at` is when it was stored and `enqueued_at` when it came into its queue, as RQ writes them, '' where nobody
    has noted that. `attempt` is its number.
    `damage` says why its payload can't be had, "" where it can.
    `expires_at` is when it expires, as `started`, None where it does not.
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


class Report(NamedTuple):
    """What an execution has to say: `kind` is progress, finished, failed, permanent, stopped, expired or interrupted.

    Or it is what this worker can't run and another may: refused, of a payload, or unknown:<type>. Or down: what the job
    works with can't be used now; or partial:<result>, which is the job's where no try is left.

    `value` is the report, the result or the trace as stored, `error` JSON for the status. A retry comes
    `delay_seconds` later at the least. `frame` tells where in the job's own code an error came from.
    """

    kind: str
    execution: Execution
    value: str = ""
    error: str = ""
    delay_seconds: float = 0.0
    ended: float = 0.0
    frame: str = ""


@dataclass(slots=True)
class Queues:
    """The queues that a worker serves, in the order given or each in turn.

    `rates` are the types that have one, each as three: its name, how many may start in a period, its microseconds.
    """

    names: list[str]
    in_turn: bool
    first: int = 1
    rates: tuple[str | int, ...] = ()

    def rotate(self, taken: list[Execution]) -> None:
        """Let the one after the last that gave a job come first, if they are served in turn; an empty one gave none."""
        if self.in_turn and taken and taken[-1].queue in self.names:
            self.first = (self.names.index(taken[-1].queue) + 1) % len(self.names) + 1
