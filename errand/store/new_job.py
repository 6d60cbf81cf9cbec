"""A job that is to be stored."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

from errand.contract.job import Job
from errand.contract.retry import Backoff


class UnknownParentError(Exception):
    """Raised when a job is to wait for one that does not exist; nothing was stored."""


class TooManyDependentsError(Exception):
    """Raised when too many jobs would wait for one, or for a batch; the text is its id, nothing was stored."""

    def __init__(self, id: str, kind: str = "job") -> None:
        super().__init__(id)
        self.kind = kind


class TooManyLinksError(Exception):
    """Raised when jobs would wait for too many, all together; the text is how many, nothing was stored."""


@dataclass(frozen=True)
class NewJob:
    """A job to be stored: its type, its payload as stored, and when it may run.

    `run_at` None means now. `after` are the ids of the jobs and batches that must finish first; what becomes of the job
    when one of them fails, `on_failure` says: cancel, run or wait. `limit` is a concurrency key and how many jobs under
    it may be queued or run at once. `expires_in_seconds` count from `created_at`, which None makes the time when it is
    stored. `unique` is a unique key of its type, and whether a job that waits for its time under it becomes this one.
    `timeout_seconds` of an attempt and `tries`, the first included, stand in for what the type says.
    """

    type: Job[..., Any]
    payload: dict[str, Any]
    run_at: datetime | None = None
    after: tuple[str, ...] = ()
    batch: str | None = None
    on_failure: str = "cancel"
    at_front: bool = False
    tags: tuple[str, ...] = ()
    limit: tuple[str, int] | None = None
    webhook: str | None = None
    expires_in_seconds: float | None = None
    timeout_seconds: int | None = None
    tries: int | None = None
    unique: tuple[str, bool] | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    created_at: datetime | None = None

    @property
    def due_at(self) -> datetime | None:
        """When it is due, rounded up to a whole second: RQ 3 keeps no fractions, and no job may run early."""
        return self.run_at and datetime.fromtimestamp(math.ceil(self.run_at.timestamp()), UTC)

    @property
    def options(self) -> tuple[object, ...]:
        """All that an ordinary job does without."""
        waits = self.run_at, self.after, self.limit, self.expires_in_seconds
        return *waits, self.batch, self.at_front, self.tags, self.webhook, self.timeout_seconds, self.tries

    @property
    def retry(self) -> Backoff:
        """When its failed attempts are tried again: as its type says, but for `tries`."""
        return self.type.retry if self.tries is None else replace(self.type.retry, tries=self.tries)

    def find_expiry(self, created_at: datetime) -> float | None:
        """Return when it expires if it is stored at `created_at`, in seconds since 1970 rounded up to a millisecond."""
        if self.expires_in_seconds is None:
            return None
        return math.ceil((created_at.timestamp() + self.expires_in_seconds) * 1000) / 1000

    def tell_shared(self) -> tuple[object, ...]:
        """Return what must be equal in jobs whose records differ in their data and retries alone."""
        return self.type.type, self.created_at, self.on_failure, self.options


def find_wait(run_at: datetime, now: datetime) -> float:
    """Return in how many seconds a job that may run then is due, which is at a whole second."""
    return math.ceil(run_at.timestamp()) - now.timestamp()


def derive_ids(batch: str, count: int, first: int = 0) -> list[str]:
    """Return the ids of a batch's jobs, in order, from number `first` on: its answer can be told again from its id."""
    namespace = UUID(batch)
    return [str(uuid5(namespace, str(number))) for number in range(first, first + count)]


def restore_jobs(jobs: Sequence[NewJob], id: str, created_at: datetime, run_at: datetime | None) -> list[NewJob]:
    """Return the jobs of a request as an earlier one, the same, stored them: under the id of its job or batch."""
    batch = id if jobs[0].batch else None
    ids = derive_ids(batch, len(jobs)) if batch else [id]
    return [
        replace(job, id=id, batch=batch, created_at=created_at, run_at=run_at)
        for id, job in zip(ids, jobs, strict=True)
    ]
