"""The worker's settings."""

from pydantic import Field

from errand.redis.settings import Settings


class WorkerSettings(Settings):
    """How many jobs a worker runs at once, how long they may go on after a stop, and how soon a dead one is noticed.

    With how many MB its runner is replaced, which keeps leaks of jobs and their libraries in bounds: no figure is right
    for all, since it depends on the machine and on what the jobs load.
    """

    threads: int = Field(16, alias="WORKER_THREADS", ge=1, le=1000)
    grace_seconds: float = Field(25.0, alias="WORKER_GRACE_SECONDS", ge=0, allow_inf_nan=False)
    max_mb: int | None = Field(None, alias="WORKER_MAX_MB", ge=1)
    lease_seconds: float = Field(10.0, alias="WORKER_LEASE_SECONDS", ge=2, allow_inf_nan=False)
