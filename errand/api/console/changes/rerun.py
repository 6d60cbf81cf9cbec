"""Running a job again: as a new job, or the same job with an edited payload."""

import asyncio
from hashlib import sha256
from typing import Any

from errand.api.console.changes.change import Action, Change, Done
from errand.api.console.changes.job import show_fault
from errand.api.console.form import PAYLOAD_FORM_BYTES
from errand.api.console.formatting import describe_problem
from errand.api.console.page import Content
from errand.api.console.views.edit import build_edit, digest_payload, edit
from errand.api.console.views.job import job
from errand.api.http.deadline import redis_deadline
from errand.api.http.idempotency import REPLAYED
from errand.api.http.problems import Problem
from errand.api.ids import check_id, missing
from errand.api.store_once import store_job
from errand.api.stored_payload import show_text, take_again
from errand.contract.bodies import list_bodies
from errand.contract.job import Job
from errand.store.fields import pack_payload
from errand.store.idempotency import Claim
from errand.store.observe.record import Record
from errand.store.requeue import EditedPayload, RequeueRefusedError
from errand.store.status import ENDED

CALLER = "console"  # to whom the forms' idempotency keys belong


async def run_again(change: Change) -> Done | Content:
    """Store a new job of the same type with the same payload and options. Raises Problem (404, 503)."""
    record, packed, type = await _read(change)
    if type is None:
        return await show_fault(change.look, f"There is no job type {record.type[:64]!r} here any more.")
    try:
        return await _store_new(change, record, packed, type)
    except Problem as problem:
        if problem.status == 503:
            raise
        return await show_fault(change.look, f"It can't be run again: {describe_problem(problem)}.")


async def send_edited(change: Change) -> Done | Content:
    """Requeue a job with another payload, or store a new job with it. Raises Problem (404, 503)."""
    record, packed, type = await _read(change)
    text = change.form.get("payload").replace("\r\n", "\n")
    if type is None:
        return await build_edit(change.look, text)
    if change.form.get("before") != digest_payload(packed):
        fault = "The payload has been changed since you opened this page. Your text is below."
        return await build_edit(change.look, text, fault)
    try:
        if change.form.get("do") == "new":
            return await _store_new(change, record, packed, type, text)
        return await _requeue(change, record, packed, type, text)
    except Problem as problem:
        if problem.status == 503:
            raise
        errors = problem.extra.get("errors", ())
        return await build_edit(change.look, text, "" if errors else f"{problem.detail}.", errors)


async def _read(change: Change) -> tuple[Record, bytes, Job[..., Any] | None]:
    store, id = change.look.store, check_id(change.look.path["id"], "job")
    async with redis_deadline():
        record, (packed,) = await asyncio.gather(store.observe.records.read(id), store.observe.payloads.read([id]))
    if record is None:
        raise missing(id, "job")
    return record, packed, store.types.get(record.type)


async def _store_new(
    change: Change, record: Record, packed: bytes, type: Job[..., Any], text: str | None = None
) -> Done:
    store, status = change.look.store, record.fields["status"]
    if status not in ENDED:
        raise Problem(409, "not-ended", f"it has not ended, its status is {status}")
    try:
        options = record.read_options(type)
    except (ValueError, TypeError, KeyError):
        raise Problem(409, "damaged", "its record is damaged") from None
    shown = show_text(type, packed) if text is None else text
    posted = await take_again(store, type, packed, text)
    claim = build_claim(change, record.id, shown)
    new, _, headers = await store_job(
        store, type, posted._replace(claim=claim), lambda now: {**options, "created_at": now}
    )
    goal, is_repeated = change.renderer.url_for("job", id=new.id), headers.items() >= REPLAYED.items()
    return Done(f"job {record.id} run again as {new.id}", goal, "job-sent-before" if is_repeated else "job-run-again")


async def _requeue(change: Change, record: Record, packed: bytes, type: Job[..., Any], text: str) -> Done:
    store = change.look.store
    posted = await take_again(store, type, packed, text)
    payload = posted.payloads[0]
    edited = EditedPayload(pack_payload(type, payload), packed, list_bodies(payload), posted.holder)
    try:
        async with redis_deadline("Redis did not answer; the job may have been requeued"):
            is_there = await store.changes.requeuer.requeue(record.id, edited)
    except RequeueRefusedError as error:
        raise Problem(409, "not-requeueable", f"It can't be requeued: {error}") from None
    if not is_there:
        raise missing(record.id, "job")
    goal = change.renderer.url_for("job", id=record.id)
    return Done(f"job {record.id} requeued with an edited payload", goal, "job-requeued-edited")


def build_claim(change: Change, *asked: str) -> Claim | None:
    """Return the claim of a form that may be sent twice, as by a double click; None for one without a key."""
    key = change.form.read_key()
    return Claim(CALLER, key, sha256("\0".join(asked).encode()).hexdigest()) if key else None


ACTIONS = [
    Action("run-again", "/jobs/{id}/again", run_again, job, seconds=None),
    Action("edit-job", "/jobs/{id}/edit", send_edited, edit, PAYLOAD_FORM_BYTES, seconds=None),
]
