"""Pausing and resuming a queue."""

from errand.api.console.changes.change import Action, Change, Done
from errand.api.http.problems import Problem
from errand.store.queues import UnknownQueueError


async def pause(change: Change) -> Done:
    """Stop workers from taking jobs of a queue. Raises Problem 404 and RedisError."""
    return await _set(change, "paused")


async def resume(change: Change) -> Done:
    """Let workers take jobs of a queue again. Raises Problem 404 and RedisError."""
    return await _set(change, "resumed")


async def _set(change: Change, word: str) -> Done:
    name, queues = change.look.path["name"], change.look.store.queues
    try:
        await (queues.pause(name) if word == "paused" else queues.resume(name))
    except UnknownQueueError:
        raise Problem(404, "no-such-queue", f"There is no queue {name[:64]!r}") from None
    return Done(f"queue {name} {word}", change.renderer.url_for("queues"), f"queue-{word}")


ACTIONS = [
    Action("pause", "/queues/{name}/pause", pause),
    Action("resume", "/queues/{name}/resume", resume),
]
