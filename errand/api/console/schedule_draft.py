"""A schedule as it stands in the form for one: of a type's example, of what is stored, or of what somebody has sent."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from errand.api import schedule_requests
from errand.api.console.form import Form
from errand.api.console.formatting import write_json
from errand.api.console.schedule_text import UNITS, split_every
from errand.api.http.body import BODY_LIMIT_BYTES
from errand.api.http.problems import Problem, refuse_input
from errand.api.schedule_requests import ScheduleBody
from errand.api.store import Store
from errand.contract.job import Job
from errand.store.schedules.schedule import Schedule
from errand.store.schedules.schedules import StoredSchedule

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


def draft_new(job: Job[..., Any] | None) -> ScheduleDraft:
    """Return an empty draft, with a type and its example where one is given."""
    chosen = {"type": job.type, "payload": write_json(job.example or {})} if job else {}
    return ScheduleDraft({**EMPTY, **chosen})


def draft_stored(store: Store, found: StoredSchedule) -> ScheduleDraft:
    """Return the draft of a schedule that is stored."""
    one = found.schedule
    count, unit = split_every(one.every_seconds) if one.every_seconds else ("", "minute")
    fields = {
        "name": one.name,
        "type": one.type,
        "cron": one.cron or "",
        "every": str(count),
        "unit": unit,
        "timezone": one.timezone,
        "payload": write_json(schedule_requests.show_payload(store, found)),
        "catch_up": one.catch_up,
        "overlap": one.overlap,
    }
    return ScheduleDraft(fields)


async def read_draft(store: Store, form: Form, name: str | None) -> ScheduleDraft:
    """Return the draft that a form has sent, with the errors that the API would find; `name` is an edited one's."""
    fields = {**{one: form.get(one).strip() for one in FIELDS}, **({"name": name} if name else {})}
    faults: Faults = {}
    given = {one: fields[one] for one in ("type", "timezone", "catch_up", "overlap") if fields[one]}
    body = {**given, "cron": fields["cron"] or None, "every_seconds": _read_every(fields, faults)}
    payload = _read_payload(fields["payload"], faults)
    schedule = None
    try:
        schedule_requests.check_name(fields["name"])
    except Problem as problem:
        _add_faults(faults, problem, "name")
    try:
        asked = _validate({**body, "payload": payload})
        schedule = await asyncio.to_thread(schedule_requests.build_schedule, fields["name"], asked, store.types)
    except Problem as problem:
        _add_faults(faults, problem, "type")
    return ScheduleDraft(fields, faults, None if faults else schedule)


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
