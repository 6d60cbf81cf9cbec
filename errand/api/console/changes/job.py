"""Changes of one job: canceling, stopping, requeueing and deleting it."""

from dataclasses import replace
from uuid import uuid4

from errand.api.console.changes.change import Action, Change, Done
from errand.api.console.page import Content, Look
from errand.api.console.views.job import job, read_job
from errand.api.ids import check_id, missing
from errand.store.cancel import CancelRefusedError
from errand.store.delete import DeleteRefusedError
from errand.store.requeue import RequeueRefusedError

NOTICES = {"canceled": "job-canceled", "stopped": "job-stopped", "started": "job-stopping"}
LOGGED = {"started": "asked to stop"}


async def cancel(change: Change) -> Done | Content:
    """Cancel a waiting job, or ask a running one to stop. Raises Problem 404 and RedisError."""
    id = check_id(change.look.path["id"], "job")
    try:
        word = await change.look.store.changes.canceller.cancel(id, str(uuid4()))
    except CancelRefusedError as error:
        return await show_fault(change.look, f"It can't be canceled: {error}.")
    if word is None:
        raise missing(id, "job")
    return Done(f"job {id} {LOGGED.get(word, word)}", change.renderer.url_for("job", id=id), NOTICES[word])


async def requeue(change: Change) -> Done | Content:
    """Requeue a job that has ended without success. Raises Problem 404 and RedisError."""
    id = check_id(change.look.path["id"], "job")
    try:
        is_there = await change.look.store.changes.requeuer.requeue(id)
    except RequeueRefusedError as error:
        return await show_fault(change.look, f"It can't be requeued: {error}.")
    if not is_there:
        raise missing(id, "job")
    return Done(f"job {id} requeued", change.renderer.url_for("job", id=id), "job-requeued")


async def delete(change: Change) -> Done | Content:
    """Delete a job that doesn't run, with all that is kept of it. Raises Problem 404 and RedisError."""
    id = check_id(change.look.path["id"], "job")
    try:
        is_there = await change.look.store.changes.deleter.delete(id)
    except DeleteRefusedError as error:
        return await show_fault(change.look, f"It can't be deleted: {error}.")
    if not is_there:
        raise missing(id, "job")
    return Done(f"job {id} deleted", change.renderer.url_for("jobs"), "job-deleted")


async def show_fault(look: Look, text: str) -> Content:
    """Return the job's page, which says why nothing was done."""
    content = await read_job(look)
    return replace(content, page={**content.page, "fault": text}, status=409)


ACTIONS = [
    Action("cancel-job", "/jobs/{id}/cancel", cancel, job),
    Action("requeue-job", "/jobs/{id}/requeue", requeue, job),
    Action("delete-job", "/jobs/{id}/delete", delete, job),
]
