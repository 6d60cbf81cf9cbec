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


@dataclass(frozen=True, kw_only=True)
class NewJobOptions:
    """What is asked of a new job beside its payload; each by default as an ordinary job has it."""

    run_at: datetime | None = None  # None: now
    after: tuple[str, ...] = ()  # ids of the jobs and batches that must finish first
    on_failure: str = "cancel"  # what becomes of the job when one of them fails: cancel, run or wait
    at_front: bool = False
    tags: tuple[str, ...] = ()
    limit: tuple[str, int] | None = None  # a concurrency key, and how many jobs under it may be queued or run at once
    webhook: str | None = None
    expires_in_seconds: float | None = None  # from when it is stored
    timeout_seconds: int | None = None  # of an attempt; None: as its type says
    tries: int | None = None  # with the first one; None: as its type says
    unique: tuple[str, bool] | None = None  # a unique key of its type; whether a waiting job under it becomes this one

    @property
    def due_at(self) -> datetime | None:
        """When it is due, rounded up to a whole second: RQ 3 keeps no fractions, and no job may run early."""
        return self.run_at and datetime.fromtimestamp(math.ceil(self.run_at.timestamp()), UTC)

    def find_expiry(self, created_at: datetime) -> float | None:
        """Return when it expires if it is stored at `created_at`, in seconds since 1970 rounded up to a millisecond."""
        if self.expires_in_seconds is None:
            return None
        return math.ceil((created_at.timestamp() + self.expires_in_seconds) * 1000) / 1000


@dataclass(frozen=True)
class NewJob(NewJobOptions):
    """A job to be stored: its type, its payload as stored, and what else is asked of it."""

    type: Job[..., Any]
    payload: dict[str, Any]
    batch: str | None = None  # the id of the one that it belongs to
    id: str = field(default_factory=lambda: str(uuid4()))
    created_at: datetime | None = None  # None: when it is stored

    @property
    def options(self) -> tuple[object, ...]:
        """All that an ordinary job does without."""
        waits = self.run_at, self.after, self.limit, self.expires_in_seconds
        return *waits, self.batch, self.at_front, self.tags, self.webhook, self.timeout_seconds, self.tries

    @property
    def retry(self) -> Backoff:
        """When its failed attempts are tried again: as its type says, but for `tries`."""
        return self.type.retry if self.tries is None else replace(self.type.retry, tries=self.tries)

    def list_shared(self) -> tuple[object, ...]:
        """Return what must be equal in jobs whose records differ only in their data and retries."""
        return self.type.type, self.created_at, self.on_failure, self.options


def find_wait(run_at: datetime, now: datetime) -> float:
    """Return in how many seconds a job that may run then is due, which is at a whole second."""
    return math.ceil(run_at.timestamp()) - now.timestamp()


def derive_ids(batch: str, count: int, first: int = 0) -> list[str]:
    """Return the ids of a batch's jobs, in order, from number `first` on: its answer can be built again from its id."""
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
