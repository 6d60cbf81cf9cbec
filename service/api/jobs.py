"""`/v1/jobs`: store one, read one."""

import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, params
from fastapi.responses import JSONResponse

from jobs import Job
from service.api.body import read_body
from service.api.deadline import redis_deadline
from service.api.idempotency import DESCRIPTION, read_claim, store_once
from service.api.openapi import PROBLEMS, Bodies, describe_body
from service.api.problems import Problem
from service.api.query import read_run_at
from service.api.route import DirectRoute
from service.api.state import check_id, get_road, missing
from service.api.views import JobView, job_link, show_job, show_new_job
from service.queue.enqueue import NewJob
from service.queue.status import ENDED, JobStatus

RunAt = Annotated[datetime | None, Depends(read_run_at)]


def build_router(types: dict[str, Job[..., Any]], bodies: Bodies, checks: Sequence[params.Depends]) -> APIRouter:
    """Return the routes, one POST a job type, each after `checks`; note each body's model in `bodies`."""
    router = APIRouter(
        prefix="/v1/jobs", tags=["jobs"], responses=PROBLEMS, dependencies=checks, route_class=DirectRoute
    )
    for job in types.values():
        operation = f"enqueue_{job.type}"
        bodies[operation] = job.payload.model
        summary, _, description = (job.__doc__ or job.type).partition("\n")
        router.add_api_route(
            f"/{job.type}",
            _build_endpoint(job),
            methods=["POST"],
            status_code=202,
            response_model=JobView,
            operation_id=operation,
            summary=summary.replace("`", "").rstrip("."),  # shown as plain text
            description=description.strip(),
            openapi_extra={**describe_body(job.example), **DESCRIPTION},
        )
    router.add_api_route("/{type}", _refuse_type, methods=["POST"], include_in_schema=False)
    router.add_api_route(
        "/{id}", read_job, methods=["GET"], response_model=JobView, operation_id="read_job", summary="Read a job"
    )
    return router


def _build_endpoint(job: Job[..., Any]) -> Callable[..., Awaitable[JSONResponse]]:
    async def enqueue(request: Request, run_at: RunAt = None) -> JSONResponse:
        body = await read_body(request, job.payload.model)
        new = NewJob(job, job.payload.dump(body), run_at)
        (new,), (status,), headers = await store_once(get_road(request), [new], await read_claim(request, body))
        return JSONResponse(show_new_job(new, status), 202, {"Location": job_link(new.id), **headers})

    return enqueue


async def _refuse_type(request: Request, type: str) -> None:
    raise unknown_type(type, get_road(request).types)


def unknown_type(type: str, types: dict[str, Any]) -> Problem:
    """Return the 404 that lists the job types."""
    return Problem(404, "no-such-type", f"There is no job type {type[:64]!r}; there are {', '.join(types)}")


async def read_job(request: Request, id: str) -> JSONResponse:
    """Return the job as it is now; `Retry-After` says when to ask again while it has not ended."""
    async with redis_deadline():
        job = await get_road(request).jobs.read(check_id(id, "job"))
    if job is None:
        raise missing(id, "job")
    return JSONResponse(show_job(job), headers=_advise(job))


def _advise(job: JobStatus) -> dict[str, str]:
    """Return `Retry-After` for a job that has not ended: one second, or until it is due."""
    if job.status in ENDED:
        return {}
    due = datetime.fromisoformat(job.run_at) if job.run_at else datetime.now(UTC)
    return {"Retry-After": str(max(1, math.ceil((due - datetime.now(UTC)).total_seconds())))}
