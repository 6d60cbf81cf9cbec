"""`/v1/workers`: the live workers, and the jobs that they run."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS
from errand.api.store import get_store
from errand.api.views import job_link, read_age
from errand.store.workers import WorkerStatus

router = APIRouter(prefix="/v1/workers", tags=["workers"], responses=PROBLEMS)


class HeldJobView(BaseModel):
    """A job that a worker runs."""

    id: str
    type: str
    started_at: str | None
    links: dict[str, str]


class WorkerView(BaseModel):
    """A worker, ours or a plain `rq worker`; `state` is RQ's word: starting, idle, busy, suspended.

    `running` counts the jobs that it holds, of which `jobs` are the first hundred. `finished`, `failed` and
    `working_seconds` count since its start. `threads` is how many jobs a worker of Errand runs at once; such a one is
    `silent` where it was not heard for 20 seconds, and is taken for dead.
    """

    name: str
    state: str
    queues: list[str]
    hostname: str | None
    pid: int | None
    started_at: str | None
    heartbeat_at: str
    heartbeat_seconds: float | None
    running: int
    jobs: list[HeldJobView]
    finished: int
    failed: int
    working_seconds: float
    threads: int | None
    silent: bool


class WorkersView(BaseModel):
    """All workers, by name."""

    items: list[WorkerView]


@router.get("", response_model=WorkersView, summary="Read all workers")
async def read_workers(request: Request) -> JSONResponse:
    """Return the workers with the jobs that they hold; `heartbeat_seconds` is how long ago each was last heard."""
    async with redis_deadline():
        workers = await get_store(request).workers.read_all()
    now = get_store(request).clock.now()
    return JSONResponse({"items": [_show(worker, now) for worker in workers]})


def _show(worker: WorkerStatus, now: float) -> dict[str, Any]:
    jobs = [{**asdict(job), "links": {"self": job_link(job.id)}} for job in worker.jobs]
    return {**asdict(worker), "heartbeat_seconds": read_age(worker.heartbeat_at, now), "jobs": jobs}
