"""`/v1/stats`: how many jobs ended, how long they waited and ran, by minute, five minutes or hour."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS
from errand.api.http.query import read_moment, refuse
from errand.api.routes.listing import Type
from errand.api.store import get_store
from errand.store.observe.counts import Counts, find_quantiles
from errand.store.observe.stats import RETENTION_SECONDS, Span, Spans

Step = Literal["1m", "5m", "1h"]
SECONDS: dict[Step, int] = {"1m": 60, "5m": 300, "1h": 3600}
MOST_STEPS = 1500  # binds for hours only, of which 90 days are kept: 62 days in an answer
DEFAULT_SECONDS = 3600  # an hour, by minute
SLACK_STEPS = 2  # a request is under way for some time, and steps are whole
_TIME: dict[str, Any] = {"format": "date-time"}

router = APIRouter(prefix="/v1/stats", tags=["stats"], responses=PROBLEMS)


class EndedView(BaseModel):
    """Jobs that ended, by outcome; `failed`: for good."""

    finished: int
    failed: int
    stopped: int
    canceled: int


class AttemptsView(BaseModel):
    """Attempts that ended, by outcome; `failed` counts those that were followed by another try as well."""

    finished: int
    failed: int
    interrupted: int
    lost: int
    stopped: int


class SecondsView(BaseModel):
    """So many seconds half of the attempts took at most, and 95 of a hundred; null where there were none."""

    p50: float | None
    p95: float | None


class TypeStatsView(BaseModel):
    """What ended of a type. Of each attempt, `wait_seconds` are from queued to started, `run_seconds` from there on."""

    ended: EndedView
    attempts: AttemptsView
    wait_seconds: SecondsView
    run_seconds: SecondsView


class StepView(BaseModel):
    """What ended from `start` on for one step. `types` has those of which anything did, or the one asked for."""

    start: str
    types: dict[str, TypeStatsView]


class StatsView(BaseModel):
    """The steps in order, the first one with `from`, the last one up to `to`.

    `total` is what ended in all of them. `retention_seconds` says by step how far back there are steps of it.
    """

    step: Step
    start: Annotated[str, Field(alias="from")]
    to: str
    retention_seconds: dict[Step, int]
    total: dict[str, TypeStatsView]
    items: list[StepView]


@router.get("", response_model=StatsView, summary="Read how many jobs ended, and how long they took")
async def read_stats(
    request: Request,
    start: Annotated[
        str | None,
        Query(alias="from", json_schema_extra=_TIME, description="RFC 3339; an hour before `to` by default."),
    ] = None,
    to: Annotated[str | None, Query(json_schema_extra=_TIME, description="RFC 3339; now by default.")] = None,
    step: Annotated[
        Step | None, Query(description="The smallest that there is so far back, and not too many, by default.")
    ] = None,
    type: Type = None,
) -> Response:
    """Return what ended in each step of a time, by type. Steps begin at whole minutes, five minutes or hours, UTC."""
    store = get_store(request)
    now = store.clock.now()
    end = min(now, now if to is None else read_moment(to, "to").timestamp())
    begin = end - DEFAULT_SECONDS if start is None else read_moment(start, "from").timestamp()
    if begin >= end:
        raise refuse("from", "it is not before `to`, or not in the past")
    chosen = step or _choose(begin, end, now)
    _check(chosen, begin, end, now)
    seconds = SECONDS[chosen]
    first, last = int(begin // seconds) * seconds, -int(-end // seconds) * seconds
    async with redis_deadline():
        spans = await store.observe.stats.read(seconds, first, (last - first) // seconds)
    return Response(await asyncio.to_thread(_render, spans, chosen, last, type), media_type="application/json")


def _choose(begin: float, end: float, now: float) -> Step:
    """Return the smallest step that is kept so long and fits into an answer; the largest where none is."""
    for step, seconds in SECONDS.items():
        if now - begin <= RETENTION_SECONDS[seconds] and end - begin <= MOST_STEPS * seconds:
            return step
    return "1h"


def _check(step: Step, begin: float, end: float, now: float) -> None:
    """Raise Problem 422 for steps that are not kept any more, and for more than an answer may hold."""
    seconds = SECONDS[step]
    kept = RETENTION_SECONDS[seconds]
    if now - begin > kept + SLACK_STEPS * seconds:
        hours = kept // 3600
        span = f"{hours} hours" if hours < 100 else f"{hours // 24} days"
        more = "" if step == "1h" else "; ask for a larger step, or"
        raise refuse("from", f"steps of {step} are kept for {span}{more or ';'} begin later")
    if end - begin > MOST_STEPS * seconds:
        raise refuse(
            "step", f"that would be more than {MOST_STEPS:,} steps of {step}; ask for a larger one, or for less"
        )


def _render(spans: Spans, step: Step, end: int, type: str | None) -> bytes:
    found = spans.build(type)
    return to_json(
        {
            "step": step,
            "from": _write_time(spans.start),
            "to": _write_time(end),
            "retention_seconds": {name: RETENTION_SECONDS[seconds] for name, seconds in SECONDS.items()},
            "total": _show_types(_sum_up(found), type),
            "items": [{"start": _write_time(span.start), "types": _show_types(span.counts, type)} for span in found],
        }
    )


def _sum_up(spans: Iterable[Span]) -> dict[str, Counts]:
    total: dict[str, Counts] = {}
    for span in spans:
        for name, counts in span.counts.items():
            total.setdefault(name, Counts()).add(counts)
    return total


def _show_types(found: Mapping[str, Counts], type: str | None) -> dict[str, Any]:
    names = sorted(found) if type is None else [type]
    return {name: _show_type(found.get(name) or Counts()) for name in names}


def _show_type(counts: Counts) -> dict[str, Any]:
    return {
        "ended": counts.count_jobs(),
        "attempts": counts.count_attempts(),
        "wait_seconds": _show_seconds(counts.waits),
        "run_seconds": _show_seconds(counts.runs),
    }


def _show_seconds(buckets: list[int]) -> dict[str, float | None]:
    half, most = find_quantiles(buckets, (0.5, 0.95))
    return {"p50": _round(half), "p95": _round(most)}


def _round(seconds: float | None) -> float | None:
    """Return about as many digits as a bucket is exact to."""
    return None if seconds is None else float(f"{seconds:.3g}")


def _write_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
