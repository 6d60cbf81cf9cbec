"""Query parameters: unknown and repeated ones are refused; what is asked of a new job is read from the rest."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, get_origin
from uuid import UUID

from fastapi import Depends, Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import StringConstraints

from errand.api.http.problems import refuse_input
from errand.api.store import get_store
from errand.contract.storing.asked import (
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

# RFC 3339, section 5.6; in a query the offset's + arrives as a space.
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+ -]\d\d:\d\d)", re.ASCII)


async def refuse_unknown(request: Request) -> None:
    """Refuse query parameters that the route does not have, and those that repeat and may not. Raises Problem 422."""
    if not request.scope["query_string"]:
        return
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    known = dict(_list_known(route.dependant))
    counts = Counter(name for name, _ in request.query_params.multi_items())
    errors = [{"loc": (name,), "msg": fault} for name, n in counts.items() if (fault := _find_fault(name, n, known))]
    if errors:
        raise refuse_input(errors, in_body=False)


def _find_fault(name: str, count: int, known: Mapping[str, bool]) -> str | None:
    if name not in known:
        return f"there is no such parameter here; known: {', '.join(sorted(known)) or 'none'}"
    return f"it is there {count} times; give it once" if count > 1 and not known[name] else None


def _list_known(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Yield the names of a route's query parameters, and whether they may repeat: those are lists."""
    for field in dependant.query_params:
        yield field.alias, get_origin(field.field_info.annotation) is list
    for dependency in dependant.dependencies:
        yield from _list_known(dependency)


@dataclass(frozen=True)
class Due:
    """When a job may run, as it was asked for: so long from when it is stored, or then; neither is at once."""

    delay_seconds: float | None = None
    run_at: datetime | None = None

    def find(self, now: datetime) -> datetime | None:
        """Return when that is for a job that is stored `now`, None for at once. Raises Problem 422."""
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
) -> Due:
    """Return when the job may run; what that means, Redis' clock says when it is stored. Raises Problem 422."""
    if delay_seconds is not None and run_at is not None:
        raise refuse("run_at", "give delay_seconds or run_at, not both")
    return Due(delay_seconds, None if run_at is None else read_moment(run_at, "run_at"))


@dataclass(frozen=True)
class Options:
    """What is asked of a new job beside its payload, but for `due` by the names that `NewJob` has."""

    due: Due = Due()
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

    def give(self, now: datetime) -> dict[str, Any]:
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


PLAIN = Options()


async def read_options(
    request: Request,
    due: Annotated[Due, Depends(read_due)],
    after: Annotated[
        list[UUID], Query(max_length=PARENT_LIMIT, description="Run it after this job has finished; may repeat.")
    ] = [],  # noqa: B006 - FastAPI's form
    on_failure: Annotated[
        OnFailure,
        Query(description="What becomes of it when a job of `after` does not finish well; `wait`: for its requeue."),
    ] = "cancel",
    at_front: Annotated[bool, Query(description="Put it before all that wait in its queue.")] = False,
    tag: Annotated[
        list[Annotated[str, StringConstraints(pattern=WORD)]],
        Query(max_length=TAG_LIMIT, description="A word to find it by; may repeat."),
    ] = [],  # noqa: B006
    concurrency_key: Annotated[
        str | None, Query(pattern=WORD, description="Jobs under one key share `concurrency`.")
    ] = None,
    concurrency: Annotated[
        int | None, Query(ge=1, le=10_000, description="So many jobs under the key run or are next to run at once.")
    ] = None,
    webhook: Annotated[
        str | None, Query(description="An https URL that is told of the end of the job, or of the batch.")
    ] = None,
    expires_in_seconds: Annotated[
        float | None,
        Query(
            ge=1,
            le=FARTHEST_SECONDS,
            allow_inf_nan=False,
            description="Cancel it where it has not started this many seconds from now; an e-mail: not been sent.",
        ),
    ] = None,
    timeout_seconds: Annotated[
        int | None,
        Query(ge=1, le=TIMEOUT_LIMIT_SECONDS, description="An attempt may take so long, not what the type says."),
    ] = None,
    tries: Annotated[
        int | None, Query(ge=1, le=TRIES_LIMIT, description="So many attempts, the first included; 1: no retry.")
    ] = None,
) -> Options:
    """Return what is asked of a new job. Raises Problem 422."""
    if (concurrency_key is None) != (concurrency is None):
        raise refuse("concurrency", "give concurrency_key and concurrency together")
    if concurrency_key and concurrency_key.endswith((":allowed", ":rate_limited")):
        raise refuse("concurrency_key", "RQ has keys of its own that end so; end it otherwise")
    if webhook is not None:
        try:
            get_store(request).webhooks.check(webhook)
        except ValueError as error:
            raise refuse("webhook", str(error)) from None
    limit = (concurrency_key, concurrency) if concurrency_key and concurrency else None
    parents = tuple(dict.fromkeys(map(str, after)))
    tags = tuple(dict.fromkeys(tag))
    return Options(due, parents, on_failure, at_front, tags, limit, webhook, expires_in_seconds, timeout_seconds, tries)


def read_moment(text: str, parameter: str) -> datetime:
    """Return a query's RFC 3339 time in UTC. Raises Problem 422."""
    match = _RFC3339.fullmatch(text)
    try:
        if not match:
            raise ValueError
        offset = match[2].upper().replace(" ", "+")
        return datetime.fromisoformat(text[: match.start(2)].replace(" ", "T").upper() + offset).astimezone(UTC)
    except (ValueError, OverflowError):
        raise refuse(parameter, "write RFC 3339 with an offset: 2026-12-24T18:00:00+01:00 or …Z") from None


def refuse(parameter: str, detail: str) -> Exception:
    """Return the 422 for one parameter."""
    return refuse_input([{"loc": (parameter,), "msg": detail}], in_body=False)
