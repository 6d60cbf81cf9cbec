"""`/v1/dead-letters`: finding jobs that failed for good, queueing them again, deleting them."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS
from errand.api.http.problems import Problem
from errand.api.http.query import build_reader, refuse
from errand.api.routes.listing import Batch, Cursor, JobPage, Limit, PageQuery, QueueName, Type, answer_page, read_time
from errand.api.shown_fields import Fields
from errand.api.store import get_store
from errand.store.dead_letters import Action
from errand.store.index import Filter

SHOWN = 20  # jobs that an answer names, of those done and of those left: enough to check a dry run

router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"], responses=PROBLEMS)


class LeftView(BaseModel):
    """A failed job that the action left as it is, and why."""

    id: str
    detail: str


class RequeuedLettersView(BaseModel):
    """How many failed jobs were queued again, or would be; `ids` and `left` show the first 20."""

    dry_run: bool
    requeued: int
    ids: list[str]
    left: list[LeftView]


class DeletedLettersView(BaseModel):
    """How many failed jobs were deleted, or would be; `ids` and `left` show the first 20."""

    dry_run: bool
    deleted: int
    ids: list[str]
    left: list[LeftView]


@dataclass(frozen=True)
class DeadLetterFilters:
    """The query parameters that say which failed jobs are meant."""

    type: Type = None
    queue: QueueName = None
    error: Annotated[
        str | None,
        Query(min_length=1, max_length=255, description="The name of the error's type, or a part of its message."),
    ] = None
    fingerprint: Annotated[
        str | None, Query(min_length=1, max_length=64, description="Of this group alone, as `/groups` names it.")
    ] = None
    batch: Batch = None
    failed_after: Annotated[
        str | None,
        Query(json_schema_extra={"format": "date-time"}, description="Failed then or later: RFC 3339 with offset."),
    ] = None
    failed_before: Annotated[
        str | None, Query(json_schema_extra={"format": "date-time"}, description="Failed before that.")
    ] = None

    def build_filter(self) -> Filter:
        """Return which failed jobs are meant. Raises Problem 422."""
        return Filter(
            "failed",
            self.type,
            self.queue,
            status="failed",
            error=self.error,
            fingerprint=self.fingerprint,
            batch=None if self.batch is None else str(self.batch),
            ended_after=read_time(self.failed_after, "failed_after"),
            ended_before=read_time(self.failed_before, "failed_before"),
        )


Wanted = Annotated[Filter, Depends(build_reader(DeadLetterFilters, DeadLetterFilters.build_filter))]
Everything = Annotated[bool, Query(alias="all", description="Without a filter: yes, all failed jobs.")]
DryRun = Annotated[bool, Query(description="Only show what would be done.")]


@router.get("", response_model=JobPage, summary="List failed jobs")
async def list_dead_letters(
    request: Request, wanted: Wanted, limit: Limit = 20, cursor: Cursor = None, fields: Fields = None
) -> Response:
    """Return the jobs that failed for good and that all filters fit, the newest failure first."""
    return await answer_page(request, wanted, PageQuery(limit, cursor, fields))


@router.post("/requeue", status_code=202, response_model=RequeuedLettersView, summary="Requeue failed jobs by filter")
async def requeue_dead_letters(
    request: Request, wanted: Wanted, everything: Everything = False, dry_run: DryRun = False
) -> JSONResponse:
    """Queue the failed jobs again that all filters fit, each with all its tries, the oldest failure first.

    What fails in the meantime is left. Without any filter it needs `all=true`.
    """
    _check(wanted, everything, "requeue")
    tally = await _run(request, "count" if dry_run else "requeue", wanted, "requeued")
    return JSONResponse({"dry_run": dry_run, "requeued": tally.count, "ids": tally.ids, "left": tally.left}, 202)


@router.post("/delete", response_model=DeletedLettersView, summary="Delete failed jobs by filter")
async def delete_dead_letters(
    request: Request, wanted: Wanted, everything: Everything = False, dry_run: DryRun = False
) -> JSONResponse:
    """Delete the failed jobs that all filters fit with all that is kept of them; jobs that wait for them are canceled.

    What fails in the meantime is left. Without any filter it needs `all=true`.
    """
    _check(wanted, everything, "delete")
    tally = await _run(request, "count" if dry_run else "delete", wanted, "deleted")
    return JSONResponse({"dry_run": dry_run, "deleted": tally.count, "ids": tally.ids, "left": tally.left})


@dataclass
class Tally:
    """What the steps did, with the first jobs by id."""

    count: int
    ids: list[str]
    left: list[dict[str, str]]


def _check(wanted: Filter, everything: bool, action: str) -> None:
    is_empty = wanted == Filter("failed", status="failed")
    if is_empty and not everything:
        raise refuse("all", f"no filter is given; to {action} every failed job say all=true")
    if everything and not is_empty:
        raise refuse("all", "all=true and a filter contradict each other; give one of them")


async def _run(request: Request, action: Action, wanted: Filter, done: str) -> Tally:
    steps, tally = get_store(request).changes.dead_letters.apply(action, wanted), Tally(0, [], [])
    while True:
        try:
            async with redis_deadline(f"Redis did not answer; more may have been {done}. Try again"):
                step = await anext(steps, None)
        except Problem as problem:
            problem.detail = f"{tally.count} jobs were {done}, then: {problem.detail}"
            raise
        if step is None:
            return tally
        tally.count += len(step.taken)
        tally.ids += step.taken[: SHOWN - len(tally.ids)]
        tally.left += [{"id": id, "detail": detail} for id, detail in step.left[: SHOWN - len(tally.left)]]
