"""`/v1/batches`: many jobs of one type, stored all or none, counted together."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import uuid4

from fastapi import APIRouter, Depends, Request, Response, params
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic_core import to_json

from errand.api.http import conditional, wait
from errand.api.http.deadline import redis_deadline
from errand.api.http.idempotency import DESCRIPTION
from errand.api.http.openapi import PROBLEMS, Bodies, describe_body
from errand.api.http.options import PLAIN, PostedOptions, read_options
from errand.api.http.problems import refuse_input
from errand.api.http.route import DirectRoute
from errand.api.ids import check_id, missing
from errand.api.request_intake import BodyShape
from errand.api.routes.jobs import unknown_type
from errand.api.store import get_store
from errand.api.store_once import store_posted
from errand.api.views import BatchView, NewBatchView, batch_link, link_batch, show_batch, show_new_job
from errand.contract.job import Job
from errand.redis import keys
from errand.store.new_job import NewJob, derive_ids

ITEM_LIMIT = keys.BATCH_LIMIT
Given = Annotated[PostedOptions, Depends(read_options)]


def build_router(types: dict[str, Job[..., Any]], bodies: Bodies, checks: Sequence[params.Depends]) -> APIRouter:
    """Return the routes, one POST a job type, each after `checks`; note each body's model in `bodies`."""
    router = APIRouter(
        prefix="/v1/batches", tags=["batches"], responses=PROBLEMS, dependencies=checks, route_class=DirectRoute
    )
    for job in types.values():
        operation, model = f"enqueue_{job.type}_batch", _build_model(job)
        bodies[operation] = model
        router.add_api_route(
            f"/{job.type}",
            _build_endpoint(job, model),
            methods=["POST"],
            status_code=202,
            response_model=NewBatchView,
            responses=wait.BATCH_ENDED_IN_TIME,
            operation_id=operation,
            summary=f"Store 1 to {ITEM_LIMIT:,} {job.type} jobs, all or none",
            openapi_extra={
                **describe_body(job.example and {"items": [job.example]}),
                **DESCRIPTION,
                "parameters": [*DESCRIPTION["parameters"], wait.BATCH_PARAMETER],
            },
        )
    router.add_api_route("/{type}", _refuse_type, methods=["POST"], include_in_schema=False)
    router.add_api_route(
        "/{id}",
        read_batch,
        methods=["GET"],
        response_model=BatchView,
        responses=conditional.NOT_MODIFIED,
        operation_id="read_batch",
        summary="Read a batch",
        openapi_extra={"parameters": [wait.BATCH_PARAMETER, conditional.PARAMETER]},
    )
    return router


def _build_model(job: Job[..., Any]) -> type[BaseModel]:
    items: Any = Annotated[list[job.payload.model], Field(min_length=1, max_length=ITEM_LIMIT)]  # type: ignore[name-defined]
    name = f"{job.type.title().replace('_', '')}Batch"
    slow: Any = (ClassVar[Any], getattr(job.payload.model, "validates_slowly", None))
    return create_model(name, __config__=ConfigDict(extra="forbid"), items=(items, ...), validates_slowly=slow)


def _build_endpoint(job: Job[..., Any], model: type[BaseModel]) -> Callable[..., Awaitable[Response]]:
    async def enqueue_batch(request: Request, options: Given = PLAIN) -> Response:
        def take_items(body: Any) -> list[BaseModel]:
            _check_links(body.items, options)
            items: list[BaseModel] = body.items
            return items

        store, batch = get_store(request), str(uuid4())
        posted = await store.intake.read(request, BodyShape(job, model, take_items))

        def build(now: datetime) -> list[NewJob]:
            return _build_jobs(job, posted.payloads, batch, options.build_arguments(now))

        new, statuses, headers = await store_posted(store, posted, batch, build, job.type)
        headers = {"Location": batch_link(id := str(new[0].batch)), **headers}
        if (seconds := wait.read_wait(request)) is not None:
            waited = await wait.wait_for_new_batch(store, id, seconds)
            headers |= wait.show_applied(seconds) if waited else {}
            if waited and waited.has_ended:
                return JSONResponse(show_batch(waited), 200, headers)
        shown = [show_new_job(one, status) for one, status in zip(new, statuses, strict=True)]
        answer = {"id": id, "type": job.type, "total": len(new), "jobs": shown, "links": link_batch(id)}
        # pydantic writes a thousand jobs in a third of the time
        return Response(to_json(answer), 202, headers, "application/json")

    return enqueue_batch


def _check_links(items: list[BaseModel], options: PostedOptions) -> None:
    """Raise Problem 422 where the items would wait for too many jobs, all together."""
    if len(items) * len(options.after) > keys.LINKS_LIMIT:
        detail = f"{len(items):,} items times {len(options.after)} jobs are too many; {keys.LINKS_LIMIT:,} at most"
        raise refuse_input([{"loc": ("after",), "msg": detail}], in_body=False)


def _build_jobs(
    job: Job[..., Any], payloads: Sequence[dict[str, Any]], batch: str, given: dict[str, Any]
) -> list[NewJob]:
    """Return the jobs of a new batch: they share its time, and their ids follow from its own."""
    return [
        NewJob(job, payload, batch=batch, id=id, **given)
        for id, payload in zip(derive_ids(batch, len(payloads)), payloads, strict=True)
    ]


async def _refuse_type(request: Request, type: str) -> None:
    raise unknown_type(type, get_store(request).types)


async def read_batch(request: Request, id: str) -> Response:
    """Return the batch's counts as they are now; they outlive its jobs.

    With `Prefer: wait=N` as they are when all its jobs have ended, or after N seconds.
    """
    async with redis_deadline():
        batch = await get_store(request).batches.read(check_id(id, "batch"))
    headers = {}
    if batch is not None and (seconds := wait.read_wait(request)) is not None:
        batch = await wait.wait_for_batch(get_store(request), batch, seconds)
        headers = wait.show_applied(seconds)
    if batch is None:
        raise missing(id, "batch")
    headers |= {} if batch.has_ended else {"Retry-After": "1"}
    return conditional.answer_with_tag(request, show_batch(batch), headers)
