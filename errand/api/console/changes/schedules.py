"""Pausing, resuming, running, storing and deleting schedules."""

from collections.abc import Awaitable, Callable

from errand.api import schedule_requests
from errand.api.console.changes.change import Action, Change, Done
from errand.api.console.page import Content
from errand.api.console.schedule_draft import ScheduleDraft, read_draft
from errand.api.console.views.schedule_form import (
    build_form,
    edit_schedule,
    find_editable,
    list_next,
    new_schedule,
)
from errand.api.http.body import BODY_LIMIT_BYTES
from errand.api.http.problems import Problem
from errand.api.store import Store

FORM_BYTES = 3 * BODY_LIMIT_BYTES + 8192  # a byte of JSON takes up to three in a form


async def pause(change: Change) -> Done:
    """Let a schedule post no jobs until it is resumed. Raises Problem 404 and RedisError."""
    return await _change(change, schedule_requests.pause, "paused")


async def resume(change: Change) -> Done:
    """Let a schedule go on with its next time from now. Raises Problem 404 and 409, and RedisError."""
    return await _change(change, schedule_requests.resume, "resumed")


async def _change(change: Change, act: Callable[[Store, str], Awaitable[None]], word: str) -> Done:
    name = change.look.path["name"]
    await act(change.look.store, name)
    return Done(f"schedule {name} {word}", _lead(change, name), f"schedule-{word}")


async def run(change: Change) -> Done:
    """Store a job of a schedule at once. Raises Problem 404 and 409, and RedisError."""
    name = change.look.path["name"]
    job, _ = await schedule_requests.run(change.look.store, name)
    return Done(f"schedule {name} run as job {job.id}", _lead(change, name), "schedule-run")


async def create(change: Change) -> Done | Content:
    """Store a new schedule, or show what is wrong, or its next times. Raises RedisError."""
    store = change.look.store
    draft = await read_draft(store, change.form, None)
    if draft.schedule and await _is_there(store, draft.schedule.name):
        draft.faults["name"] = ["there is a schedule of this name; edit that one, or choose another name"]
    return await _store(change, draft, None)


async def edit(change: Change) -> Done | Content:
    """Store the edited one, or show what is wrong, or its next times. Raises Problem 404 and 409, and RedisError."""
    name = (await find_editable(change.look)).schedule.name
    return await _store(change, await read_draft(change.look.store, change.form, name), name)


async def delete(change: Change) -> Done:
    """Delete a schedule and its list of runs. Raises Problem 404 and 409, and RedisError."""
    name = change.look.path["name"]
    await schedule_requests.delete(change.look.store, name)
    return Done(f"schedule {name} deleted", change.renderer.url_for("schedules"), "schedule-deleted")


async def _store(change: Change, draft: ScheduleDraft, edited: str | None) -> Done | Content:
    look = change.look
    if draft.faults or not draft.schedule:
        return build_form(look, draft, edited, status=422)
    if change.form.get("do") == "preview":
        return build_form(look, draft, edited, list_next(draft.schedule, look.store.clock.now()))
    await schedule_requests.put(look.store, draft.schedule)
    word = "changed" if edited else "stored"
    return Done(f"schedule {draft.schedule.name} {word}", _lead(change, draft.schedule.name), f"schedule-{word}")


async def _is_there(store: Store, name: str) -> bool:
    """Return whether there is one that can be read; a damaged one may be overwritten."""
    try:
        await schedule_requests.find(store, name)
    except Problem:
        return False
    return True


def _lead(change: Change, name: str) -> str:
    """Return the page from which it was asked for: the list, or the schedule's own."""
    if change.form.get("from") == "list":
        return change.renderer.url_for("schedules")
    return change.renderer.url_for("schedule", name=name)


ACTIONS = [
    Action("create-schedule", "/new-schedule", create, new_schedule, FORM_BYTES),
    Action("change-schedule", "/schedules/{name}/edit", edit, edit_schedule, FORM_BYTES),
    Action("delete-schedule", "/schedules/{name}/delete", delete),
    Action("schedule-pause", "/schedules/{name}/pause", pause),
    Action("schedule-resume", "/schedules/{name}/resume", resume),
    Action("schedule-run", "/schedules/{name}/run", run),
]
