"""`/v1/jobs`: store one, read one."""

import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response, params
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from errand.api.http import conditional, wait
from errand.api.http.deadline import redis_deadline
from errand.api.http.idempotency import DESCRIPTION
from errand.api.http.openapi import PROBLEMS, Bodies, describe_body
from errand.api.http.options import ANSWERS, PLAIN, UNIQUE, PostedOptions, read_unique
from errand.api.http.problems import Problem
from errand.api.http.route import DirectRoute
from errand.api.ids import check_id, missing
from errand.api.request_intake import BodyShape
from errand.api.shown_fields import Fields, read_fields, show_jobs
from errand.api.store import get_store
from errand.api.store_once import store_job
from errand.api.views import JobView, job_link, show_job, show_new_job
from errand.contract.job import Job
from errand.store.new_job import NewJob
from errand.store.status import ENDED, JobStatus

Given = Annotated[PostedOptions, Depends(read_unique)]


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
            responses=wait.ENDED_IN_TIME,
            operation_id=operation,
            summary=summary.replace("`", "").rstrip("."),  # shown as plain text
            description=description.strip(),
            openapi_extra={
                **describe_body(job.example),
                **DESCRIPTION,
                "parameters": [*DESCRIPTION["parameters"], wait.PARAMETER],
                "responses": ANSWERS,
            },
        )
    router.add_api_route("/{type}", _refuse_type, methods=["POST"], include_in_schema=False)
    router.add_api_route(
        "/{id}",
        read_job,
        methods=["GET"],
        response_model=JobView,
        responses=conditional.NOT_MODIFIED,
        operation_id="read_job",
        summary="Read a job",
        openapi_extra={"parameters": [wait.PARAMETER, conditional.PARAMETER]},
    )
    return router


def _build_endpoint(job: Job[..., Any]) -> Callable[..., Awaitable[JSONResponse]]:
    async def enqueue(request: Request, options: Given = PLAIN) -> JSONResponse:
        new, status, headers = await post_job(request, job, options)
        headers = {"Location": job_link(new.id), **headers}
        seconds = wait.read_wait(request)
        if seconds is None and headers.get(UNIQUE, "stored") == "stored":
            return JSONResponse(show_new_job(new, status), 202, headers)
        found = await wait.wait_for_new(get_store(request), new.id, seconds or 0)
        if found is None:
            return JSONResponse(show_new_job(new, status), 202, headers)
        applied = {} if seconds is None else wait.show_applied(seconds)
        return JSONResponse(show_job(found), 200 if found.status in ENDED else 202, headers | applied)

    return enqueue


async def post_job(request: Request, job: Job[..., Any], options: PostedOptions) -> tuple[NewJob, str, dict[str, str]]:
    """Store the job that a request posts; return it, its status and the answer's further headers. Raises Problem."""
    store = get_store(request)
    posted = await store.intake.read(request, BodyShape(job, job.payload.model, _take_one))
    return await store_job(store, job, posted, options.build_arguments)


def _take_one(body: BaseModel) -> list[BaseModel]:
    return [body]


async def _refuse_type(request: Request, type: str) -> None:
    raise unknown_type(type, get_store(request).types)


def unknown_type(type: str, types: dict[str, Any]) -> Problem:
    """Return the 404 that lists the job types."""
    return Problem(404, "no-such-type", f"There is no job type {type[:64]!r}; there are {', '.join(types)}")


async def read_job(request: Request, id: str, fields: Fields = None) -> Response:
    """Return the job as it is now; `Retry-After` says when to ask again while it has not ended.

    With `Prefer: wait=N` as it is when it has ended, or after N seconds.
    """
    asked = read_fields(fields) if fields is not None else ()
    async with redis_deadline():
        job = await get_store(request).jobs.read(check_id(id, "job"))
    applied = {}
    if job is not None and (seconds := wait.read_wait(request)) is not None:
        job = await wait.wait_for_end(get_store(request), job, seconds)
        applied = wait.show_applied(seconds)
    if job is None:
        raise missing(id, "job")
    shown = (await show_jobs(get_store(request), [job], asked))[0] if asked else show_job(job)
    return conditional.answer_with_tag(request, shown, _advise(job, get_store(request).clock.now()) | applied)


def _advise(job: JobStatus, now: float) -> dict[str, str]:
    """Return `Retry-After` for a job that has not ended: one second, or until it is due."""
    if job.status in ENDED:
        return {}
    due = datetime.fromisoformat(job.run_at).timestamp() if job.run_at else now
    return {"Retry-After": str(max(1, math.ceil(due - now)))}
