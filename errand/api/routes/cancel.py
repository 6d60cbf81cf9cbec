"""`…/cancel` and DELETE: cancelling, stopping and deleting one job."""

import asyncio
import time
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS
from errand.api.http.problems import Problem
from errand.api.ids import check_id, missing
from errand.api.store import Store, get_store
from errand.api.views import JobView, show_job
from errand.redis import keys
from errand.store.cancel import CancelRefusedError
from errand.store.delete import DeleteRefusedError

LOOK_SECONDS = 0.1  # between two looks at whether it has stopped, 18 at most

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=PROBLEMS)


@router.post(
    "/{id}/cancel",
    response_model=JobView,
    responses={
        202: {"model": JobView, "description": "It was asked to stop and has not stopped yet; see `Retry-After`"}
    },
    summary="Cancel or stop a job",
)
async def cancel_job(request: Request, id: str) -> JSONResponse:
    """Cancel a job that has not begun, stop one that runs; a 409 for one that has ended.

    What becomes of the jobs that wait for it depends on their `on_failure`; `dependents` shows it. A job that has not
    stopped within two seconds is a 202: it ends at its next step of Python, or is killed where its type is isolated.
    """
    store, token = get_store(request), str(uuid4())
    word = await _cancel(store, check_id(id, "job"), token)
    deadline = time.monotonic() + keys.API_SECONDS
    while word == "started" and time.monotonic() < deadline:
        await asyncio.sleep(LOOK_SECONDS)
        word = await _cancel(store, id, token)
    async with redis_deadline("Redis did not answer; the job may have been canceled"):
        job = await store.jobs.read(id) if word else None
    if job is None:
        raise missing(id, "job")
    return JSONResponse(show_job(job), 202, {"Retry-After": "1"}) if word == "started" else JSONResponse(show_job(job))


async def _cancel(store: Store, id: str, token: str) -> str | None:
    async with redis_deadline("Redis did not answer; the job may have been canceled"):
        try:
            return await store.changes.canceller.cancel(id, token)
        except CancelRefusedError as error:
            raise Problem(409, "not-cancelable", f"Job {id!r} can't be canceled: {error}") from None


@router.delete("/{id}", status_code=204, response_model=None, summary="Delete a job")
async def delete_job(request: Request, id: str) -> Response:
    """Delete a job with all that is kept of it; a 409 while it runs. One that waits is canceled first."""
    async with redis_deadline("Redis did not answer; the job may have been deleted"):
        try:
            is_there = await get_store(request).changes.deleter.delete(check_id(id, "job"))
        except DeleteRefusedError as error:
            raise Problem(409, "not-deletable", f"Job {id!r} can't be deleted: {error}") from None
    if not is_there:
        raise missing(id, "job")
    return Response(status_code=204)
