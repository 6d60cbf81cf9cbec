"""`/console/new-schedule` and `/console/schedules/{name}/edit`: the form for a schedule."""

from typing import Any, get_args

from errand.api import schedule_requests
from errand.api.console.formatting import write_json
from errand.api.console.page import Content, Look, View
from errand.api.console.schedule_draft import SECONDS, ScheduleDraft, draft_new, draft_stored
from errand.api.console.schedule_text import describe_rhythm
from errand.redis.keys import FILE_PREFIX
from errand.store.schedules.occurrences import CatchUp, Overlap
from errand.store.schedules.schedule import Schedule, write_time
from errand.store.schedules.schedules import NEXT_SHOWN, StoredSchedule


async def read_new(look: Look) -> Content:
    """Return the empty form, for a type and with its example where one is asked for."""
    types = look.store.types
    job = types.get(look.query.get("type", "")) or (next(iter(types.values())) if len(types) == 1 else None)
    return build_form(look, draft_new(job), None)


async def read_edit(look: Look) -> Content:
    """Return the form with what is stored. Raises Problem 404 and 409, and RedisError."""
    found = await find_editable(look)
    return build_form(look, draft_stored(look.store, found), look.path["name"])


async def find_editable(look: Look) -> StoredSchedule:
    """Return the schedule whose form it is. Raises Problem 404, and 409 for a damaged one or a job file's."""
    found = await schedule_requests.find(look.store, look.path["name"])
    if found.source == "file" or found.schedule.name.startswith(FILE_PREFIX):
        raise schedule_requests.held(found.schedule.name)
    return found


def build_form(
    look: Look, draft: ScheduleDraft, edited: str | None, preview: list[str] | None = None, status: int = 200
) -> Content:
    """Return the form; `edited` is the name of the schedule that is there, `preview` its next times."""
    examples = {job.type: write_json(job.example or {}) for job in look.store.types.values()}
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


def list_next(schedule: Schedule, now: float) -> list[str]:
    """Return the first times from now on."""
    occurrence = schedule.rhythm.after(int(now))
    occurrences: list[str] = []
    while occurrence is not None and len(occurrences) < NEXT_SHOWN:
        occurrences.append(write_time(occurrence))
        occurrence = schedule.rhythm.after(occurrence)
    return occurrences


new_schedule = View("new-schedule", "/new-schedule", read_new, "schedules", ("type",))
edit_schedule = View("edit-schedule", "/schedules/{name}/edit", read_edit, "schedules")
