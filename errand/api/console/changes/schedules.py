"""Pausing and resuming schedules, and running, storing and deleting them."""

from collections.abc import Awaitable, Callable

from errand.api import scheduling
from errand.api.console.changes.change import Action, Change, Done
from errand.api.state import Road


async def pause(change: Change) -> Done:
    """Let its times pass until it is resumed. Raises Problem 404 and RedisError."""
    return await _change(change, scheduling.pause, "paused")


async def resume(change: Change) -> Done:
    """Let it go on with the next time from now. Raises Problem 404 and 409, and RedisError."""
    return await _change(change, scheduling.resume, "resumed")


async def _change(change: Change, act: Callable[[Road, str], Awaitable[None]], word: str) -> Done:
    name = change.look.path["name"]
    await act(change.look.road, name)
    return Done(f"schedule {name} {word}", _lead(change, name), f"schedule-{word}")


async def run(change: Change) -> Done:
    """Store a job of it at once. Raises Problem 404 and 409, and RedisError."""
    name = change.look.path["name"]
    job, _ = await scheduling.run(change.look.road, name)
    return Done(f"schedule {name} run as job {job.id}", _lead(change, name), "schedule-run")


def _lead(change: Change, name: str) -> str:
    """Return the page from which it was asked for: the list, or the schedule's own."""
    if change.form.get("from") == "list":
        return change.renderer.url_for("schedules")
    return change.renderer.url_for("schedule", name=name)


ACTIONS = [
    Action("schedule-pause", "/schedules/{name}/pause", pause),
    Action("schedule-resume", "/schedules/{name}/resume", resume),
    Action("schedule-run", "/schedules/{name}/run", run),
]
