"""What the supervisor wants a runner to do."""

from dataclasses import dataclass

from errand.worker.served import ServedQueues


@dataclass(frozen=True)
class Plan:
    """What a runner is to do: `busy` are jobs of other processes that count as its own until they end.

    With more than `most_mb` of memory it takes no more, and ends when what it has taken has ended.
    """

    prefix: str
    threads: int
    queues: ServedQueues
    isolated: tuple[bytes, ...]
    busy: tuple[str, ...] = ()
    burst: bool = False
    most_jobs: int | None = None
    most_idle_seconds: float | None = None
    most_mb: int | None = None
