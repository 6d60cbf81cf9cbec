"""`…/requeue`: jobs that ended without success, queued again."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS
from errand.api.http.problems import Problem
from errand.api.ids import check_id, missing
from errand.api.routes.queues import check_queue
from errand.api.store import get_store
from errand.api.views import JobView, RequeuedView, show_job
from errand.store.requeue import RequeueRefusedError

router = APIRouter(prefix="/v1", responses=PROBLEMS)


@router.post("/jobs/{id}/requeue", status_code=202, response_model=JobView, tags=["jobs"], summary="Requeue a job")
async def requeue_job(request: Request, id: str) -> JSONResponse:
    """Queue a job again that failed, was stopped or canceled, with all its tries; else it is a 409."""
    store = get_store(request)
    async with redis_deadline("Redis did not answer; the job may have been requeued"):
        try:
            is_there = await store.changes.requeuer.requeue(check_id(id, "job"))
        except RequeueRefusedError as error:
            raise Problem(409, "not-requeueable", f"Job {id!r} can't be requeued: {error}") from None
        job = await store.jobs.read(id) if is_there else None
    if job is None:
        raise missing(id, "job")
    return JSONResponse(show_job(job), 202)


@router.post(
    "/queues/{name}/requeue",
    status_code=202,
    response_model=RequeuedView,
    tags=["queues"],
    summary="Requeue the failed jobs of a queue",
)
async def requeue_queue(request: Request, name: str) -> JSONResponse:
    """Queue all jobs of a queue again that failed, each with all its tries, in the order in which they failed."""
    store = get_store(request)
    await check_queue(request, name)
    pages, requeued = store.changes.requeuer.requeue_failed(name), 0
    page: int | None = 0
    while page is not None:
        requeued += page
        try:
            async with redis_deadline("Redis did not answer; more may have been requeued. Try again"):
                page = await anext(pages, None)
        except Problem as problem:
            problem.detail = f"{requeued} jobs were requeued, then: {problem.detail}"
            raise
    return JSONResponse({"queue": name, "requeued": requeued}, 202)
