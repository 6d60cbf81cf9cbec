"""Schedules as the API's routes and the console ask for them, and the problems with which they are refused."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from errand.api.http.problems import Problem, refuse_input
from errand.api.store import Store
from errand.contract.cron import Cron, CronError, ZoneError, read_zone
from errand.contract.job import Job
from errand.redis.keys import FILE_PREFIX
from errand.store.new_job import NewJob
from errand.store.schedules.occurrences import CatchUp, Overlap
from errand.store.schedules.schedule import Schedule
from errand.store.schedules.schedules import (
    DamagedScheduleError,
    OwnedByFileError,
    StillBusyError,
    StoredSchedule,
    TypeGoneError,
)

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}"
NAMES = "write 1 to 50 letters, digits, -, _ and ., the first a letter or a digit"


class ScheduleBody(BaseModel):
    """A job of `type` at each time of `cron` in `timezone`, or every so many seconds, counted from 1970.

    `catch_up` says what becomes of times at which no worker ran, `overlap` what becomes of a time that comes while the
    job of the last one has not ended.
    """

    model_config = ConfigDict(extra="forbid")
    type: str
    payload: JsonValue = {}
    cron: Annotated[str, Field(max_length=200)] | None = None
    every_seconds: Annotated[int, Field(ge=1, le=366 * 86400)] | None = None
    timezone: Annotated[str, Field(max_length=64)] = "UTC"
    catch_up: CatchUp = "last"
    overlap: Overlap = "queue"


def check_name(name: str) -> str:
    """Return a name that a schedule may be stored under. Raises Problem 422, and 409 for the name of a job file."""
    if not re.fullmatch(NAME, name):
        raise refuse_input([{"loc": ("name",), "msg": NAMES}], in_body=False)
    if name.startswith(FILE_PREFIX):
        raise held(name)
    return name


def build_schedule(name: str, body: ScheduleBody, types: dict[str, Job[..., Any]]) -> Schedule:
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


async def find(store: Store, name: str) -> StoredSchedule:
    """Return a schedule with its next and its last runs. Raises Problem 404 and 409, and RedisError."""
    found = None
    if re.fullmatch(NAME, name):
        with _readable(name):
            found = await store.schedules.read(name)
    if found is None:
        raise _missing(name)
    return found


def show_payload(store: Store, found: StoredSchedule) -> Any:
    """Return a schedule's payload as it is posted."""
    payload, type = found.schedule.payload, store.types.get(found.schedule.type)
    return payload.get(type.payload.whole) if type and type.payload.whole else payload


async def put(store: Store, schedule: Schedule) -> bool:
    """Store it; return whether it is new. Raises Problem 409 for a job file's name, FullRedisError and RedisError."""
    try:
        return await store.schedules.put(schedule)
    except OwnedByFileError:
        raise held(schedule.name) from None


async def delete(store: Store, name: str) -> None:
    """Delete it. Raises Problem 404, Problem 409 where it is a job file's, and RedisError."""
    try:
        is_there = await store.schedules.delete(name)
    except OwnedByFileError:
        raise held(name) from None
    if not is_there:
        raise _missing(name)


async def pause(store: Store, name: str) -> None:
    """Skip its times until it is resumed. Raises Problem 404 and RedisError."""
    if not await store.schedules.pause(name):
        raise _missing(name)


async def resume(store: Store, name: str) -> None:
    """Go on with the next time from now. Raises Problem 404 and 409, and RedisError."""
    with _readable(name):
        is_there = await store.schedules.resume(name)
    if not is_there:
        raise _missing(name)


async def run(store: Store, name: str) -> tuple[NewJob, str]:
    """Store a job of it now; return the job and its status. Raises Problem 404 and 409, FullRedisError, RedisError."""
    try:
        with _readable(name):
            stored = await store.schedules.run(name)
    except TypeGoneError as error:
        detail = f"Schedule {name!r} can't run: there is no job type {str(error)!r} any more"
        raise Problem(409, "not-runnable", detail) from None
    except StillBusyError as error:
        detail = f"Schedule {name!r} skips what overlaps, and {error}: wait for its end, or cancel it"
        raise Problem(409, "not-runnable", detail) from None
    if stored is None:
        raise _missing(name)
    return stored


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Raise Problem 409 where the schedule's record is damaged."""
    try:
        yield
    except DamagedScheduleError:
        raise Problem(409, "damaged", f"Schedule {name!r} can't be read; store it again, or delete it") from None


def _missing(name: str) -> Problem:
    return Problem(404, "no-such-schedule", f"There is no schedule {name[:64]!r}")


def held(name: str) -> Problem:
    """Return the 409 for a schedule that belongs to a job file."""
    file = f"jobs/{name.removeprefix(FILE_PREFIX)}.py"
    detail = f"Names that begin with {FILE_PREFIX} belong to the job files: change cron= in {file}, or pause it"
    return Problem(409, "held-by-file", detail)
