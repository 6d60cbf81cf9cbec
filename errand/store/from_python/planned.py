"""A job that Python code asked for, until it is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from errand.contract.from_python.options import FARTHEST_SECONDS, Asked
from errand.contract.job import Job
from errand.store.new_job import NewJob, find_wait


@dataclass(frozen=True)
class Planned:
    """A job as it was asked for, under the id that it will have. What a delay means, Redis' clock says at the store."""

    id: str
    type: Job[..., Any]
    payload: dict[str, Any]
    asked: Asked
    after: tuple[str, ...] = ()

    def build(self, now: datetime) -> NewJob:
        """Return it as a job that is stored `now`. Raises ValueError for a time that can't be."""
        run_at, asked = self._find_due(now), self.asked
        if asked.expires_in_seconds is not None and run_at and find_wait(run_at, now) >= asked.expires_in_seconds:
            raise ValueError("expires_in_seconds: it would expire before it is due; both count from now")
        return NewJob(
            self.type,
            self.payload,
            run_at=run_at,
            after=self.after,
            on_failure=asked.on_failure,
            tags=tuple(dict.fromkeys(asked.tags)),
            expires_in_seconds=asked.expires_in_seconds,
            timeout_seconds=asked.timeout_seconds,
            tries=asked.tries,
            unique=None if asked.unique_key is None else (asked.unique_key, asked.replace),
            id=self.id,
            created_at=now,
        )

    def _find_due(self, now: datetime) -> datetime | None:
        if self.asked.delay_seconds:
            return now + timedelta(seconds=self.asked.delay_seconds)
        if self.asked.run_at is None or self.asked.run_at <= now:
            return None
        if self.asked.run_at - now > timedelta(seconds=FARTHEST_SECONDS):
            raise ValueError("run_at is more than ten years away")
        return self.asked.run_at


def plan(job: Job[..., Any], payload: dict[str, Any], asked: Asked, default: Sequence[str] = ()) -> Planned:
    """Return a job as planned; it comes after `default` where neither jobs to wait for nor a time is given."""
    after = tuple(default) if asked.after is None and not asked.is_timed else asked.parents
    return Planned(asked.choose_id(job.path), job, payload, asked, after)
