"""`/v1/queues`: how full they are; pause and resume."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS
from errand.api.http.prefix import link
from errand.api.http.problems import Problem
from errand.api.store import get_store
from errand.api.views import read_age
from errand.store.queues import QueueStatus, UnknownQueueError, WaitingJobs

router = APIRouter(prefix="/v1/queues", tags=["queues"], responses=PROBLEMS)


class JobCounts(BaseModel):
    """A queue's jobs by RQ's status words; `failed` counts the stopped ones too."""

    queued: int
    started: int
    scheduled: int
    deferred: int
    ready_to_enqueue: int
    rate_limited: int
    finished: int
    failed: int
    canceled: int


class QueueWhyView(BaseModel):
    """Why none of a queue's jobs is taken: `verdict` for machines, `reason` for people, and how many wait so."""

    verdict: Literal["rq_suspended", "queue_paused", "no_worker", "type_unknown", "payload_refused", "type_held"]
    reason: str
    jobs: int


class QueueView(BaseModel):
    """A queue. `state`: a paused one is `draining` while jobs of it run, then `drained`; any other is `active`.

    `oldest_at` and `oldest_seconds` say since when the oldest of its queued jobs has waited. `waiting` lists the queued
    jobs that no worker can run now, by type, with the reason; `why` says why nothing is taken at all, and is null where
    something is, or nothing waits. `retrying` counts jobs that failed and wait to be tried again, queued or scheduled;
    `newest_error` is the type of the newest error of these; `workers` counts the live ones that serve the queue.
    """

    name: str
    paused: bool
    state: Literal["active", "draining", "drained"]
    oldest_at: str | None
    oldest_seconds: float | None
    jobs: JobCounts
    waiting: list[WaitingJobs]
    why: QueueWhyView | None
    retrying: int
    newest_error: str | None
    workers: int
    links: dict[str, str]


class QueuesView(BaseModel):
    """All queues, by name."""

    items: list[QueueView]


@router.get("", response_model=QueuesView, summary="Read all queues")
async def read_queues(request: Request) -> JSONResponse:
    """Return the queues that the job types name and those that Redis knows, with their jobs by status."""
    async with redis_deadline():
        queues = await get_store(request).queues.read_all()
    return JSONResponse({"items": [_show(request, queue) for queue in queues]})


@router.get("/{name}", response_model=QueueView, summary="Read a queue")
async def read_queue(request: Request, name: str) -> JSONResponse:
    """Return a queue with its jobs by status."""
    async with _known(name):
        queue = await get_store(request).queues.read(name)
    return JSONResponse(_show(request, queue))


@router.post("/{name}/pause", response_model=QueueView, summary="Pause a queue")
async def pause_queue(request: Request, name: str) -> JSONResponse:
    """Let Errand's workers take no more jobs from a queue; those that run end, and what is posted waits."""
    async with _known(name, "Redis did not answer; the queue may have been paused"):
        queue = await get_store(request).queues.pause(name)
    return JSONResponse(_show(request, queue))


@router.post("/{name}/resume", response_model=QueueView, summary="Resume a queue")
async def resume_queue(request: Request, name: str) -> JSONResponse:
    """Let workers take the jobs of a paused queue again."""
    async with _known(name, "Redis did not answer; the queue may have been resumed"):
        queue = await get_store(request).queues.resume(name)
    return JSONResponse(_show(request, queue))


async def check_queue(request: Request, name: str) -> None:
    """Raise Problem 404 for a queue that no job type names and that Redis does not know."""
    async with _known(name):
        await get_store(request).queues.check(name)


@asynccontextmanager
async def _known(name: str, *detail: str) -> AsyncIterator[None]:
    async with redis_deadline(*detail):
        try:
            yield
        except UnknownQueueError as error:
            listed = ", ".join(error.names)
            raise Problem(404, "no-such-queue", f"There is no queue {name[:64]!r}; there are {listed}") from None


def _show(request: Request, queue: QueueStatus) -> dict[str, Any]:
    return {
        "name": queue.name,
        "paused": queue.paused,
        "state": queue.state,
        "oldest_at": queue.oldest_at,
        "oldest_seconds": read_age(queue.oldest_at, get_store(request).clock.now()),
        "jobs": {status: queue.jobs[status] for status in JobCounts.model_fields},
        "waiting": [_show_waiting(one) for one in queue.waiting],
        "why": queue.why and asdict(queue.why),
        "retrying": queue.retrying,
        "newest_error": queue.newest_error,
        "workers": queue.workers,
        "links": {"self": link(f"/v1/queues/{quote(queue.name, safe='')}")},
    }


def _show_waiting(waiting: WaitingJobs) -> dict[str, Any]:
    return {name: value for name, value in asdict(waiting).items() if value is not None}
