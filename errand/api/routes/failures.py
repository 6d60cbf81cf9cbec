"""`GET /v1/dead-letters/groups`: what failed, as a whole."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS
from errand.api.http.query import refuse
from errand.api.routes.listing import Batch, QueueName, Type
from errand.api.store import Store, get_store
from errand.store.observe.failures import FailureGroup
from errand.store.status import JobError

router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"], responses=PROBLEMS)

Limit = Annotated[int, Query(ge=1, le=100, description="At most so many groups, those of the most jobs.")]


class FailureGroupView(BaseModel):
    """Jobs of a type that failed by errors of one type at one place of the job's own code.

    `error`, `frame` and the id `example` are of the newest failure; `failed` are dead letters, `retrying` are tried
    again. `fingerprint` chooses the group where dead letters are listed, queued again or deleted.
    """

    fingerprint: str
    type: str
    error: JobError | None
    frame: str | None
    count: int
    failed: int
    retrying: int
    first_at: str | None
    last_at: str | None
    example: str


class FailureGroupsView(BaseModel):
    """Some of the `groups` groups that were found, those of the most jobs first.

    Of `total` jobs, the newest `scanned` were looked at; `complete` where these are all.
    """

    items: list[FailureGroupView]
    groups: int
    scanned: int
    total: int
    complete: bool


@router.get("/groups", response_model=FailureGroupsView, summary="Count failures by what they have in common")
async def list_failure_groups(
    request: Request, type: Type = None, queue: QueueName = None, batch: Batch = None, limit: Limit = 20
) -> JSONResponse:
    """Return jobs that failed, for good or to be tried again, by their type, their error's type and their own frame.

    The newest 10,000 are looked at, or all of a batch.
    """
    if batch and (type or queue):
        raise refuse("batch", "its jobs are of one type; give it without type and queue")
    store = get_store(request)
    async with redis_deadline():
        found = await (
            store.observe.failures.read_batch(str(batch)) if batch else store.observe.failures.read(queue, type)
        )
        items = await asyncio.gather(*(_show(store, group) for group in found.groups[:limit]))
    counts = {"scanned": found.scanned, "total": found.total, "complete": found.scanned == found.total}
    return JSONResponse({"items": items, "groups": len(found.groups), **counts})


async def _show(store: Store, group: FailureGroup) -> dict[str, Any]:
    error: JobError | None = JobError(group.error_type, group.message)
    if not group.error_type:  # RQ alone recorded it, and keeps no more than a traceback
        job = await store.jobs.read(group.example)
        error = job.error if job else None
    return {
        "fingerprint": group.fingerprint,
        "type": group.type,
        "error": error and vars(error),
        "frame": group.frame or None,
        "count": group.failed + group.retrying,
        "failed": group.failed,
        "retrying": group.retrying,
        "first_at": group.first_at or None,
        "last_at": group.last_at or None,
        "example": group.example,
    }
