"""`/console/jobs/{id}/edit`: a job's payload as a form, to requeue the job with another one."""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from errand.api.console.form import new_key
from errand.api.console.formatting import write_json
from errand.api.console.page import Content, Look, View
from errand.api.http.problems import Problem
from errand.api.ids import check_id, missing
from errand.api.stored_payload import show_text
from errand.store.status import ENDED


async def read_edit(look: Look) -> Content:
    """Return what the page shows. Raises Problem 404 and RedisError."""
    return await build_edit(look)


async def build_edit(
    look: Look, text: str | None = None, fault: str = "", errors: Sequence[dict[str, str]] = ()
) -> Content:
    """Return the page with the payload as it is, or with `text` as it was sent, and what is wrong with it."""
    store, id = look.store, check_id(look.path["id"], "job")
    record, (packed,) = await asyncio.gather(store.observe.records.read(id), store.observe.payloads.read([id]))
    if record is None:
        raise missing(id, "job")
    status, type = record.fields["status"], store.types.get(record.type)
    shown = ""
    try:
        if type is not None:
            shown = show_text(type, packed)
    except Problem as problem:
        type, fault = None, f"{problem.detail}."
    if type is None:
        fault = fault or f"There is no job type {record.type[:64]!r} here, so no payload can be checked."
    page: dict[str, Any] = {
        "id": id,
        "type": record.type,
        "text": shown if text is None else text,
        "schema": type and write_json(type.payload.model.model_json_schema()),
        "before": digest_payload(packed),
        "may_requeue": record.may_requeue,
        "may_run": status in ENDED,
        "fault": fault if fault or status in ENDED else f"This job has not ended: its status is {status}.",
        "errors": errors,
        "new_key": new_key,
    }
    is_wrong = bool(page["fault"] or errors)
    return Content(f"Edit {record.type or 'job'} {id[:8]}", {}, page, 422 if errors else 409 if is_wrong else 200)


def digest_payload(packed: bytes) -> str:
    """Return a digest of a packed payload, by which a form knows whether the job's has changed since."""
    return sha256(packed).hexdigest()[:16]


edit = View("edit", "/jobs/{id}/edit", read_edit, "jobs")
