"""`/console/new-schedule` and `/console/schedules/{name}/edit`: the form for a schedule."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import from_json

from errand.api import scheduling
from errand.api.console.form import Form
from errand.api.console.page import Content, Look, View
from errand.api.console.schedule_text import UNITS, describe_rhythm, split_every
from errand.api.http.body import BODY_LIMIT_BYTES
from errand.api.http.problems import Problem, refuse_input
from errand.api.scheduling import ScheduleBody
from errand.api.store import Store
from errand.redis.keys import FILE_PREFIX
from errand.store.schedules.occurrences import CatchUp, Overlap
from errand.store.schedules.schedule import Schedule, write_time
from errand.store.schedules.schedules import NEXT_SHOWN, StoredSchedule

FIELDS = ("name", "type", "cron", "every", "unit", "timezone", "payload", "catch_up", "overlap")
EMPTY = {**dict.fromkeys(FIELDS, ""), "unit": "minute", "timezone": "UTC", "catch_up": "last", "overlap": "queue"}
SECONDS = dict(UNITS)
Faults = dict[str, list[str]]


@dataclass(frozen=True)
class ScheduleDraft:
    """A schedule as it stands in the form: its fields, what is wrong, and the schedule where nothing is."""

    fields: Mapping[str, str]
    faults: Faults = field(default_factory=dict)
    schedule: Schedule | None = None


async def read_new(look: Look) -> Content:
    """Return the empty form, for a type and with its example where one is asked for."""
    types = look.store.types
    job = types.get(look.query.get("type", "")) or (next(iter(types.values())) if len(types) == 1 else None)
    chosen = {"type": job.type, "payload": _write(job.example or {})} if job else {}
    return build_form(look, ScheduleDraft({**EMPTY, **chosen}), None)


async def read_edit(look: Look) -> Content:
    """Return the form with what is stored. Raises Problem 404 and 409, and RedisError."""
    found = await find_editable(look)
    return build_form(look, ScheduleDraft(_list_fields(look.store, found)), look.path["name"])


async def find_editable(look: Look) -> StoredSchedule:
    """Return the schedule whose form it is. Raises Problem 404, and 409 for a damaged one or a job file's."""
    found = await scheduling.find(look.store, look.path["name"])
    if found.source == "file" or found.schedule.name.startswith(FILE_PREFIX):
        raise scheduling.held(found.schedule.name)
    return found


def build_form(
    look: Look, draft: ScheduleDraft, edited: str | None, preview: list[str] | None = None, status: int = 200
) -> Content:
    """Return the form; `edited` is the name of the schedule that is there, `preview` its next times."""
    examples = {job.type: _write(job.example or {}) for job in look.store.types.values()}
    page: dict[str, Any] = {
        "fields": draft.fields,
        "faults": draft.faults,
        "edited": edited,
        "examples": examples,
        "units": list(SECONDS),
        "catch_ups": get_args(CatchUp),
        "overlaps": get_args(Overlap),
        "preview": preview,
        "rhythm": describe_rhythm(draft.schedule) if draft.schedule else "",
    }
    return Content(f"Edit {edited}" if edited else "New schedule", {}, page, status)


async def read_draft(store: Store, form: Form, name: str | None) -> ScheduleDraft:
    """Return the draft that a form has sent, with the errors that the API would find; `name` is an edited one's."""
    fields = {**{one: form.get(one).strip() for one in FIELDS}, **({"name": name} if name else {})}
    faults: Faults = {}
    given = {one: fields[one] for one in ("type", "timezone", "catch_up", "overlap") if fields[one]}
    body = {**given, "cron": fields["cron"] or None, "every_seconds": _read_every(fields, faults)}
    payload = _read_payload(fields["payload"], faults)
    schedule = None
    try:
        scheduling.check_name(fields["name"])
    except Problem as problem:
        _add_faults(faults, problem, "name")
    try:
        asked = _validate({**body, "payload": payload})
        schedule = await asyncio.to_thread(scheduling.build_schedule, fields["name"], asked, store.types)
    except Problem as problem:
        _add_faults(faults, problem, "type")
    return ScheduleDraft(fields, faults, None if faults else schedule)


def list_next(schedule: Schedule, now: float) -> list[str]:
    """Return the first times from now on."""
    occurrence = schedule.rhythm.after(int(now))
    occurrences: list[str] = []
    while occurrence is not None and len(occurrences) < NEXT_SHOWN:
        occurrences.append(write_time(occurrence))
        occurrence = schedule.rhythm.after(occurrence)
    return occurrences


def _validate(body: dict[str, Any]) -> ScheduleBody:
    try:
        return ScheduleBody.model_validate(body)
    except ValidationError as error:
        raise refuse_input(error.errors(include_url=False, include_input=False), in_body=True) from None


def _read_every(fields: Mapping[str, str], faults: Faults) -> int | None:
    """Return the span in seconds; the model refuses one that is too long."""
    text = fields["every"]
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        faults["every_seconds"] = ["write a whole number"]
        return 1
    return int(text) * SECONDS.get(fields["unit"], 1)


def _read_payload(text: str, faults: Faults) -> Any:
    """Return the payload, {} where it is not JSON or too large."""
    if len(text.encode()) > BODY_LIMIT_BYTES:
        faults["payload"] = [f"it is larger than {BODY_LIMIT_BYTES:,} bytes"]
        return {}
    try:
        return from_json(text, allow_inf_nan=False) if text else {}
    except ValueError as error:
        faults["payload"] = [f"it is not JSON: {error}"]
        return {}


def _add_faults(faults: Faults, problem: Problem, field: str) -> None:
    """Add a problem's errors to their fields, except for a payload whose fault is already known."""
    is_unreadable = "payload" in faults
    for error in problem.extra.get("errors") or [{"parameter": field, "detail": problem.detail}]:
        place, _, inner = error.get("pointer", "").removeprefix("#/").partition("/")
        place = place or error.get("parameter") or field
        if not (place == "payload" and is_unreadable):
            faults.setdefault(place, []).append(f"{inner}: {error['detail']}" if inner else error["detail"])


def _list_fields(store: Store, found: StoredSchedule) -> dict[str, str]:
    one = found.schedule
    count, unit = split_every(one.every_seconds) if one.every_seconds else ("", "minute")
    return {
        "name": one.name,
        "type": one.type,
        "cron": one.cron or "",
        "every": str(count),
        "unit": unit,
        "timezone": one.timezone,
        "payload": _write(scheduling.show_payload(store, found)),
        "catch_up": one.catch_up,
        "overlap": one.overlap,
    }


def _write(payload: Any) -> str:
    return json.dumps(payload, indent=2, ensure_ascii=False)


new_schedule = View("new-schedule", "/new-schedule", read_new, "schedules", ("type",))
edit_schedule = View("edit-schedule", "/schedules/{name}/edit", read_edit, "schedules")
