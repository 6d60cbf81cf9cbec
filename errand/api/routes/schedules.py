"""`/v1/schedules`: jobs at set times."""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from errand.api.http.body import read_body
from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS, Bodies, describe_body
from errand.api.http.prefix import link
from errand.api.http.problems import Problem, refuse_input
from errand.api.state import Road, get_road
from errand.api.views import JobView, job_link, show_new_job
from errand.contract.cron import Cron, CronError, ZoneError, read_zone
from errand.contract.job import Job
from errand.store.schedules.schedule import FILE_PREFIX, Schedule
from errand.store.schedules.schedules import (
    DamagedScheduleError,
    HeldByFileError,
    Run,
    StoredSchedule,
    UnknownTypeError,
)
from errand.store.schedules.slots import CatchUp, Overlap

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}"
EXAMPLE = {"type": "log", "payload": {"text": "Good morning"}, "cron": "0 7 * * MON-FRI", "timezone": "Europe/Paris"}
_UNCERTAIN = "Redis did not answer; it may have been done. Look at the schedule, or try again"


class ScheduleBody(BaseModel):
    """A job of `type` at each time of `cron` in `timezone`, or every so many seconds, counted from 1970.

    `catch_up` says what becomes of times that no worker was there for, `overlap` what becomes of one that comes while
    the last one's job has not ended.
    """

    model_config = ConfigDict(extra="forbid")
    type: str
    payload: JsonValue = {}
    cron: Annotated[str, Field(max_length=200)] | None = None
    every_seconds: Annotated[int, Field(ge=1, le=366 * 86400)] | None = None
    timezone: Annotated[str, Field(max_length=64)] = "UTC"
    catch_up: CatchUp = "last"
    overlap: Overlap = "queue"


class ScheduleSummary(BaseModel):
    """A schedule in a list. `next_run_at` is null while it is paused; `source` is http, or file for a job file's."""

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


async def _find_name(name: str) -> str:
    """Return a name that can exist. Raises Problem 404."""
    if not re.fullmatch(NAME, name):
        raise _missing(name)
    return name


Name = Annotated[str, Depends(_find_name)]


async def list_schedules(request: Request) -> JSONResponse:
    """Return all of them by name, the job files' own among them, without payloads and runs."""
    async with redis_deadline():
        found = await get_road(request).schedules.list()
    return JSONResponse({"items": [_summarize(one) for one in found]})


async def put_schedule(request: Request, name: str) -> JSONResponse:
    """Store it under its name in place of what was there: 201 where it is new, else 200.

    Sent again as it was it changes nothing. Another definition begins with its first time from now; a pause stays.
    """
    if not re.fullmatch(NAME, name):
        detail = "write 1 to 50 letters, digits, -, _ and ., the first a letter or a digit"
        raise refuse_input([{"loc": ("name",), "msg": detail}], in_body=False)
    if name.startswith(FILE_PREFIX):
        raise _held(name)
    road = get_road(request)
    body = await read_body(request, ScheduleBody)
    schedule = await asyncio.to_thread(_build, name, body, road.types)  # a payload may take long to validate
    async with redis_deadline(_UNCERTAIN):
        try:
            is_new = await road.schedules.put(schedule)
        except HeldByFileError:
            raise _held(name) from None
        shown = await _show(road, name)
    return JSONResponse(shown, 201 if is_new else 200, {"Location": _link(name)})


async def read_schedule(request: Request, name: Name) -> JSONResponse:
    """Return it as it is now. A run's status is its job's, also when that has expired; `skipped`, `missed` and
    `refused` gave no job.
    """
    async with redis_deadline():
        return JSONResponse(await _show(get_road(request), name))


async def delete_schedule(request: Request, name: Name) -> Response:
    """Forget it and its list of runs; jobs that it gave stay. A job file's own schedule is a 409: edit the file."""
    async with redis_deadline(_UNCERTAIN):
        try:
            is_there = await get_road(request).schedules.delete(name)
        except HeldByFileError:
            raise _held(name) from None
    if not is_there:
        raise _missing(name)
    return Response(status_code=204)


async def pause_schedule(request: Request, name: Name) -> JSONResponse:
    """Let its times pass until it is resumed; they are not caught up."""
    async with redis_deadline(_UNCERTAIN):
        await get_road(request).schedules.pause(name)
        return JSONResponse(await _show(get_road(request), name))


async def resume_schedule(request: Request, name: Name) -> JSONResponse:
    """Go on with the next time from now."""
    async with redis_deadline(_UNCERTAIN):
        with _readable(name):
            await get_road(request).schedules.resume(name)
        return JSONResponse(await _show(get_road(request), name))


async def run_schedule(request: Request, name: Name) -> JSONResponse:
    """Store a job of it at once, paused or not, beside whatever its times give."""
    async with redis_deadline("Redis did not answer; the job may have been stored. Look at the schedule's runs"):
        try:
            with _readable(name):
                stored = await get_road(request).schedules.run(name)
        except UnknownTypeError as error:
            detail = f"Schedule {name!r} can't run: there is no job type {str(error)!r} any more"
            raise Problem(409, "not-runnable", detail) from None
    if stored is None:
        raise _missing(name)
    job, status = stored
    return JSONResponse(show_new_job(job, status), 202, {"Location": job_link(job.id)})


def _build(name: str, body: ScheduleBody, types: dict[str, Job[..., Any]]) -> Schedule:
    """Return the schedule that a body asks for. Raises Problem 422 with all that is wrong with it."""
    faults: list[Any] = _check_times(body)
    payload: dict[str, Any] = {}
    if job := types.get(body.type):
        try:
            given = json.dumps(body.payload)
            payload = job.payload.dump(job.payload.model.model_validate_json(given, by_alias=True, by_name=True))
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            faults += [{**fault, "loc": ("payload", *fault["loc"])} for fault in found]
    else:
        listed = ", ".join(types)
        faults.append({"loc": ("type",), "msg": f"there is no job type {body.type[:64]!r}; there are {listed}"})
    if faults:
        raise refuse_input(faults, in_body=True)
    times = body.model_dump(include={"cron", "every_seconds", "timezone", "catch_up", "overlap"})
    return Schedule(name, body.type, payload, **times)


def _check_times(body: ScheduleBody) -> list[dict[str, Any]]:
    faults = []
    if (body.cron is None) == (body.every_seconds is None):
        faults.append(("cron", "give either cron or every_seconds"))
    if body.every_seconds is not None and body.timezone != "UTC":
        faults.append(("timezone", "every_seconds counts from 1970 in no zone; leave it out"))
    try:
        Cron("@daily" if body.cron is None else body.cron)
    except CronError as error:
        faults += [("cron", fault) for fault in error.faults]
    try:
        read_zone(body.timezone)
    except ZoneError as error:
        faults.append(("timezone", str(error)))
    return [{"loc": (field,), "msg": text} for field, text in faults]


async def _show(road: Road, name: str) -> dict[str, Any]:
    """Return a schedule. Raises Problem 404 and 409."""
    with _readable(name):
        found = await road.schedules.read(name)
    if found is None:
        raise _missing(name)
    payload, type = found.schedule.payload, road.types.get(found.schedule.type)
    shown = payload.get(type.payload.whole) if type and type.payload.whole else payload
    runs = [vars(run) for run in found.runs]
    return {**_summarize(found), "payload": shown, "next_runs": found.next_runs, "runs": runs}


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Raise Problem 409 where the schedule's record is damaged."""
    try:
        yield
    except DamagedScheduleError:
        raise Problem(409, "damaged", f"Schedule {name!r} can't be read; store it again, or delete it") from None


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
        "links": {"self": _link(schedule.name)},
    }


def _link(name: str) -> str:
    return link(f"/v1/schedules/{name}")


def _missing(name: str) -> Problem:
    return Problem(404, "no-such-schedule", f"There is no schedule {name[:64]!r}")


def _held(name: str) -> Problem:
    file = f"jobs/{name.removeprefix(FILE_PREFIX)}.py"
    detail = f"Names that begin with {FILE_PREFIX} belong to the job files: change cron= in {file}, or pause it"
    return Problem(409, "held-by-file", detail)
