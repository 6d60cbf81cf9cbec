"""What is asked of a new job in its query, beside the payload: when it may run, after which others, under which key."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query, Request
from pydantic import StringConstraints

from errand.api.http.idempotency import DESCRIPTION
from errand.api.http.query import build_reader, read_moment, refuse
from errand.api.store import get_store
from errand.contract.from_python.options import (
    FARTHEST_SECONDS,
    PARENT_LIMIT,
    TAG_LIMIT,
    TIMEOUT_LIMIT_SECONDS,
    TRIES_LIMIT,
    WORD,
    OnFailure,
)
from errand.store.new_job import find_wait

FARTHEST = timedelta(seconds=FARTHEST_SECONDS)
UNIQUE = "Errand-Unique"
_SHOWN: dict[str, Any] = {
    "description": "With `unique_key`: whether the job was `stored`, or is the `existing` one under its key, or that "
    "one with this payload (`replaced`)",
    "schema": {"type": "string", "enum": ["stored", "existing", "replaced"]},
}

# For `openapi_extra`; `responses` replaces that of `DESCRIPTION`, so its header of the 202 stands here too.
ANSWERS: dict[str, Any] = {
    "202": {"headers": {**DESCRIPTION["responses"]["202"]["headers"], UNIQUE: _SHOWN}},
    "200": {"headers": {UNIQUE: _SHOWN}},
}


@dataclass(frozen=True)
class DueTime:
    """When a job may run, as it was asked for: so long after it is stored, or at a time; without either, at once."""

    delay_seconds: float | None = None
    run_at: datetime | None = None

    def find(self, now: datetime) -> datetime | None:
        """Return that time for a job that is stored `now`, None for at once. Raises Problem 422."""
        if self.delay_seconds:
            return now + timedelta(seconds=self.delay_seconds)
        moment = self.run_at or now
        if moment - now > FARTHEST:
            raise refuse("run_at", f"it is more than {FARTHEST.days} days away")
        return moment if moment > now else None


async def read_due(
    delay_seconds: Annotated[
        float | None,
        Query(ge=0, le=FARTHEST_SECONDS, allow_inf_nan=False, description="Run it this many seconds from now."),
    ] = None,
    run_at: Annotated[
        str | None,
        Query(
            json_schema_extra={"format": "date-time"},
            description="Run it then: RFC 3339 with offset, `2026-12-24T18:00:00+01:00`. A past time means now.",
        ),
    ] = None,
) -> DueTime:
    """Return when the job may run, to be counted by Redis' clock when it is stored. Raises Problem 422."""
    if delay_seconds is not None and run_at is not None:
        raise refuse("run_at", "give delay_seconds or run_at, not both")
    return DueTime(delay_seconds, None if run_at is None else read_moment(run_at, "run_at"))


@dataclass(frozen=True)
class PostedOptions:
    """What is asked of a new job beside its payload; by the names of `NewJobOptions`, except for `due`."""

    due: DueTime = DueTime()
    after: tuple[str, ...] = ()
    on_failure: OnFailure = "cancel"
    at_front: bool = False
    tags: tuple[str, ...] = ()
    limit: tuple[str, int] | None = None
    webhook: str | None = None
    expires_in_seconds: float | None = None
    timeout_seconds: int | None = None
    tries: int | None = None
    unique: tuple[str, bool] | None = None

    def build_arguments(self, now: datetime) -> dict[str, Any]:
        """Return them as arguments of `NewJob`, for a job that is stored `now`. Raises Problem 422."""
        given = {**vars(self), "created_at": now, "run_at": self.due.find(now)}
        del given["due"]
        if self.after and given["run_at"]:
            raise refuse("after", "a job waits for others or for a time, not for both")
        self._check_expiry(now, given["run_at"])
        return given

    def _check_expiry(self, now: datetime, run_at: datetime | None) -> None:
        """Raise Problem 422 where the job would expire before it is due, which is at a whole second."""
        if self.expires_in_seconds is None or run_at is None:
            return
        seconds = find_wait(run_at, now)
        if self.expires_in_seconds <= seconds:
            detail = f"it would expire before it is due, in {seconds:.1f} seconds; both count from now. Give more"
            raise refuse("expires_in_seconds", detail)


PLAIN = PostedOptions()


@dataclass(frozen=True)
class JobQuery:
    """The query parameters of a POST that stores jobs, `due` those of `read_due`."""

    request: Request
    due: Annotated[DueTime, Depends(read_due)]
    after: Annotated[
        list[UUID], Query(max_length=PARENT_LIMIT, description="Run it after this job has finished; may repeat.")
    ] = ()  # type: ignore[assignment] # a list is no default of a dataclass
    on_failure: Annotated[
        OnFailure,
        Query(description="What becomes of it when a job of `after` does not finish well; `wait`: for its requeue."),
    ] = "cancel"
    at_front: Annotated[bool, Query(description="Put it before all that wait in its queue.")] = False
    tag: Annotated[
        list[Annotated[str, StringConstraints(pattern=WORD)]],
        Query(max_length=TAG_LIMIT, description="A word to find it by; may repeat."),
    ] = ()  # type: ignore[assignment]
    concurrency_key: Annotated[
        str | None, Query(pattern=WORD, description="Jobs under one key share `concurrency`.")
    ] = None
    concurrency: Annotated[
        int | None, Query(ge=1, le=10_000, description="So many jobs under the key run or are next to run at once.")
    ] = None
    webhook: Annotated[
        str | None, Query(description="An https URL that gets a POST when the job, or the batch, has ended.")
    ] = None
    expires_in_seconds: Annotated[
        float | None,
        Query(
            ge=1,
            le=FARTHEST_SECONDS,
            allow_inf_nan=False,
            description="Cancel it where it has not started this many seconds from now; an e-mail: not been sent.",
        ),
    ] = None
    timeout_seconds: Annotated[
        int | None,
        Query(ge=1, le=TIMEOUT_LIMIT_SECONDS, description="An attempt may take so long, not what the type says."),
    ] = None
    tries: Annotated[
        int | None, Query(ge=1, le=TRIES_LIMIT, description="So many attempts, the first included; 1: no retry.")
    ] = None

    def build_options(self) -> PostedOptions:
        """Return what is asked of a new job. Raises Problem 422."""
        limit = self._read_limit()
        if self.webhook is not None:
            try:
                get_store(self.request).webhooks.check(self.webhook)
            except ValueError as error:
                raise refuse("webhook", str(error)) from None
        return PostedOptions(
            self.due,
            tuple(dict.fromkeys(map(str, self.after))),
            self.on_failure,
            self.at_front,
            tuple(dict.fromkeys(self.tag)),
            limit,
            self.webhook,
            self.expires_in_seconds,
            self.timeout_seconds,
            self.tries,
        )

    def _read_limit(self) -> tuple[str, int] | None:
        key, limit = self.concurrency_key, self.concurrency
        if (key is None) != (limit is None):
            raise refuse("concurrency", "give concurrency_key and concurrency together")
        if key and key.endswith((":allowed", ":rate_limited")):
            raise refuse("concurrency_key", "RQ has keys of its own that end so; end it otherwise")
        return (key, limit) if key and limit else None


read_options = build_reader(JobQuery, JobQuery.build_options)


async def read_unique(
    options: Annotated[PostedOptions, Depends(read_options)],
    unique_key: Annotated[
        str | None,
        Query(pattern=WORD, description="While a job of this type waits or runs under it, that one is the answer."),
    ] = None,
    unique: Annotated[
        Literal["replace"] | None,
        Query(description="`replace`: one that waits for its time becomes this one instead, with its new time."),
    ] = None,
) -> PostedOptions:
    """Return what is asked of a new job that is no batch's. Raises Problem 422."""
    if unique_key is None:
        if unique is not None:
            raise refuse("unique", "give unique_key as well")
        return options
    if unique and options.after:
        raise refuse("after", "unique=replace is for jobs that wait for a time, not for others; leave one of them out")
    return replace(options, unique=(unique_key, unique is not None))
