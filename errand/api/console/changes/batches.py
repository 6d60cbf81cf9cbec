"""Requeueing what failed of a batch."""

from errand.api.console.changes.change import Action, Change, Done
from errand.api.ids import check_id, missing
from errand.store.index import Filter


async def requeue(change: Change) -> Done:
    """Requeue its failed jobs, as `POST /v1/dead-letters/requeue?batch=…` does. Raises Problem 404, RedisError."""
    store, id = change.look.store, check_id(change.look.path["id"], "batch")
    if await store.batches.read(id) is None:
        raise missing(id, "batch")
    steps = store.changes.dead_letters.apply("requeue", Filter("failed", status="failed", batch=id))
    count = sum([len(step.taken) async for step in steps])
    goal = change.renderer.url_for("batch", id=id)
    return Done(f"{count:,} failed jobs of batch {id} requeued", goal, "batch-requeued", count)


ACTIONS = [
    Action("batch-requeue", "/batches/{id}/requeue", requeue),
]
