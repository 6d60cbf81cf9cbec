"""`/v1/schedules`: jobs at set times."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, JsonValue

from errand.api import schedule_requests
from errand.api.http.body import read_body
from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS, Bodies, describe_body
from errand.api.http.prefix import link
from errand.api.schedule_requests import ScheduleBody
from errand.api.store import Store, get_store
from errand.api.views import JobView, job_link, show_new_job
from errand.store.schedules.occurrences import CatchUp, Overlap
from errand.store.schedules.schedules import Run, StoredSchedule

EXAMPLE = {"type": "log", "payload": {"text": "Good morning"}, "cron": "0 7 * * MON-FRI", "timezone": "Europe/Paris"}
_UNCERTAIN = "Redis did not answer; it may have been done. Look at the schedule, or try again"


class ScheduleSummary(BaseModel):
    """A schedule in a list. `next_run_at` is null while it is paused, `last_run` until there is one.

    `source` is http, or file for a job file's.
    """

    name: str
    type: str
    cron: str | None
    every_seconds: int | None
    timezone: str
    catch_up: CatchUp
    overlap: Overlap
    source: str
    paused: bool
    created_at: str
    updated_at: str
    next_run_at: str | None
    last_run: Run | None
    links: dict[str, str]


class ScheduleView(ScheduleSummary):
    """A schedule with its payload, its next 5 runs, none while it is paused, and its last 50, newest first."""

    payload: JsonValue
    next_runs: list[str]
    runs: list[Run]


class ScheduleList(BaseModel):
    """All schedules, by name."""

    items: list[ScheduleSummary]


def build_router(bodies: Bodies) -> APIRouter:
    """Return the routes; note the model of the one body in `bodies`."""
    bodies["put_schedule"] = ScheduleBody
    router = APIRouter(prefix="/v1/schedules", tags=["schedules"], responses=PROBLEMS)
    add = router.add_api_route
    add("", list_schedules, response_model=ScheduleList, summary="List the schedules")
    add("/{name}", read_schedule, response_model=ScheduleView, summary="Read a schedule, its next and its last runs")
    add(
        "/{name}",
        put_schedule,
        methods=["PUT"],
        response_model=ScheduleView,
        responses={201: {"model": ScheduleView, "description": "It is new"}},
        summary="Store a schedule",
        openapi_extra=describe_body(EXAMPLE),
    )
    add("/{name}", delete_schedule, methods=["DELETE"], status_code=204, summary="Delete a schedule")
    add("/{name}/pause", pause_schedule, methods=["POST"], response_model=ScheduleView, summary="Pause a schedule")
    add("/{name}/resume", resume_schedule, methods=["POST"], response_model=ScheduleView, summary="Resume a schedule")
    run: dict[str, Any] = {"methods": ["POST"], "status_code": 202, "response_model": JobView}
    add("/{name}/run", run_schedule, **run, summary="Run a schedule's job now")
    return router


async def list_schedules(request: Request) -> JSONResponse:
    """Return all of them by name, those of job files too, without payloads, and with only the last of their runs."""
    async with redis_deadline():
        found = await get_store(request).schedules.list()
    return JSONResponse({"items": [_summarize(one) for one in found]})


async def put_schedule(request: Request, name: str) -> JSONResponse:
    """Store it under its name in place of what was there: 201 where it is new, else 200.

    Sent again as it was it changes nothing. Another definition begins with its first time from now; a pause stays.
    """
    schedule_requests.check_name(name)
    store = get_store(request)
    body = await read_body(request, ScheduleBody)
    build = schedule_requests.build_schedule
    schedule = await asyncio.to_thread(build, name, body, store.types)  # a payload may take long to validate
    async with redis_deadline(_UNCERTAIN):
        is_new = await schedule_requests.put(store, schedule)
        shown = await _show(store, name)
    return JSONResponse(shown, 201 if is_new else 200, {"Location": _link(name)})


async def read_schedule(request: Request, name: str) -> JSONResponse:
    """Return it as it is now. A run's status is its job's, also when that has expired; `skipped`, `missed` and
    `refused` gave no job.
    """
    async with redis_deadline():
        return JSONResponse(await _show(get_store(request), name))


async def delete_schedule(request: Request, name: str) -> Response:
    """Delete it and its list of runs; jobs that it gave stay. A job file's own schedule is a 409: edit the file."""
    async with redis_deadline(_UNCERTAIN):
        await schedule_requests.delete(get_store(request), name)
    return Response(status_code=204)


async def pause_schedule(request: Request, name: str) -> JSONResponse:
    """Skip its times until it is resumed; they are not caught up."""
    async with redis_deadline(_UNCERTAIN):
        await schedule_requests.pause(get_store(request), name)
        return JSONResponse(await _show(get_store(request), name))


async def resume_schedule(request: Request, name: str) -> JSONResponse:
    """Go on with the next time from now."""
    async with redis_deadline(_UNCERTAIN):
        await schedule_requests.resume(get_store(request), name)
        return JSONResponse(await _show(get_store(request), name))


async def run_schedule(request: Request, name: str) -> JSONResponse:
    """Store a job of it at once, paused or not, beside whatever its times give."""
    async with redis_deadline("Redis did not answer; the job may have been stored. Look at the schedule's runs"):
        job, status = await schedule_requests.run(get_store(request), name)
    return JSONResponse(show_new_job(job, status), 202, {"Location": job_link(job.id)})


async def _show(store: Store, name: str) -> dict[str, Any]:
    """Return a schedule. Raises Problem 404 and 409."""
    found = await schedule_requests.find(store, name)
    runs = [vars(run) for run in found.runs]
    payload = schedule_requests.show_payload(store, found)
    return {**_summarize(found), "payload": payload, "next_runs": found.next_runs, "runs": runs}


def _summarize(found: StoredSchedule) -> dict[str, Any]:
    schedule = found.schedule
    return {
        "name": schedule.name,
        "type": schedule.type,
        "cron": schedule.cron,
        "every_seconds": schedule.every_seconds,
        "timezone": schedule.timezone,
        "catch_up": schedule.catch_up,
        "overlap": schedule.overlap,
        "source": found.source,
        "paused": found.paused,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
        "next_run_at": found.next_runs[0] if found.next_runs else None,
        "last_run": vars(found.runs[0]) if found.runs else None,
        "links": {"self": _link(schedule.name)},
    }


def _link(name: str) -> str:
    return link(f"/v1/schedules/{name}")
