"""`/console/jobs/{id}`: one job, from when it was stored to how it ended."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from errand.api.console.form import new_key
from errand.api.console.page import Content, Look, View
from errand.api.console.render import RAW_HEADERS, Renderer
from errand.api.console.tree import Node, build_tree
from errand.api.console.views.linked import read_linked
from errand.api.console.views.mail import find_mails
from errand.api.console.views.timeline import EditStep, build_steps, list_changes
from errand.api.http.problems import Problem
from errand.api.ids import check_id, missing
from errand.api.store import Store
from errand.redis import keys
from errand.store.observe.attempts import AttemptRecord
from errand.store.observe.logs import LogPage
from errand.store.observe.payloads import show_payload
from errand.store.observe.record import Record
from errand.store.observe.traces import fold_trace
from errand.store.observe.why import Why
from errand.store.status import ENDED, JobStatus

LINES_SHOWN = 300  # of the newest, which a page can hold; all of them are at /v1/jobs/{id}/logs


async def read_job(look: Look) -> Content:
    """Return what the page shows. Raises Problem 404 and RedisError."""
    store, id = look.store, check_id(look.path["id"], "job")
    job, attempts, lines, why, packed, record = await asyncio.gather(
        store.jobs.read(id),
        store.observe.attempts.read(id, full=True),
        store.observe.logs.read(id),
        store.observe.why.read(id),
        store.observe.payloads.read([id]),
        store.observe.records.read(id),
    )
    if job is None or record is None:
        raise missing(id, "job")
    payload = _read_payload(store, job, packed[0])
    linked = await read_linked(store, job, record, payload)
    sections: dict[str, dict[str, Any]] = {
        "head": {"job": job, "why": _choose_why(job, why)},
        "actions": _choose_actions(store, job, record),
        "steps": {"job": job, "steps": build_steps(job, attempts or [], _list_edits(store, job, record, packed[0]))},
        "error": {"job": job, "trace": _find_trace(job, attempts or [])},
        "payload": {"job": job, "payload": _build(payload)},
        "result": {"job": job, "result": build_tree(job.result) if job.status == "finished" else None},
        "links": {**linked, "mails": await find_mails(look, id)},
        "lines": _choose_lines(lines),
    }
    return Content(f"{job.type or 'Job'} {job.id[:8]}", sections, {"job": job, "fault": "", "new_key": new_key})


def _choose_actions(store: Store, job: JobStatus, record: Record) -> dict[str, Any]:
    can_again = job.status in ENDED and job.type in store.types
    return {
        "job": job,
        "can_cancel": job.status in keys.UNSTARTED,
        "can_requeue": record.may_requeue,
        "can_again": can_again,
    }


def _list_edits(store: Store, job: JobStatus, record: Record, packed: bytes) -> list[EditStep]:
    """Return the edits of the payload, each with the names of what it changed."""
    edits = record.read_edits()
    shown = [_read_payload(store, job, one) for one in (*(edit.payload for edit in edits), packed)]
    return [
        EditStep(edit.at, edit.attempts, number, list_changes(before, after))
        for number, (edit, before, after) in enumerate(zip(edits, shown, shown[1:], strict=False))
    ]


def _choose_why(job: JobStatus, why: Why | None) -> dict[str, Any] | None:
    """Return why a job waits, None for one that does not."""
    if why is None or job.status in ENDED or why.verdict.word in ("started", "ended"):
        return None
    return {**asdict(why.verdict), "then": why.then}


def _find_trace(job: JobStatus, attempts: Sequence[AttemptRecord]) -> dict[str, str] | None:
    """Return the traceback of the last attempt that failed: the job's own frames, and all of it."""
    whole = next((one.traceback for one in reversed(attempts) if one.traceback), None)
    if whole is None or job.status == "finished":
        return None
    return {"folded": fold_trace(whole), "whole": whole}


def _read_payload(store: Store, job: JobStatus, packed: bytes) -> Any:
    type = store.types.get(job.type)
    return show_payload(packed, type.payload.whole if type else None)


def _build(payload: Any) -> Node | None:
    return None if payload is None else build_tree(payload)


def _choose_lines(page: LogPage | None) -> dict[str, Any]:
    lines = page.items if page else []
    shown = lines[-LINES_SHOWN:]
    return {"lines": shown, "left": len(lines) - len(shown) + (page.dropped if page else 0)}


async def send_part(request: Request, look: Look, renderer: Renderer) -> Response:
    """Return a job's payload or result as JSON, whole. Raises Problem 404 and RedisError."""
    id, part = check_id(look.path["id"], "job"), look.path["part"]
    job = await look.store.jobs.read(id)
    if job is None:
        raise missing(id, "job")
    if part == "payload":
        value = _read_payload(look.store, job, (await look.store.observe.payloads.read([id]))[0])
    elif part.startswith("payload-"):
        value = await _read_edited(look.store, job, part)
    elif part == "result":
        value = job.result
    else:
        raise Problem(404, "not-found", "A job has payload and result")
    return Response(to_json(value, indent=2), headers=RAW_HEADERS, media_type="application/json")


async def _read_edited(store: Store, job: JobStatus, part: str) -> Any:
    """Return a payload that the job had before, «payload-0» being the first that was edited. Raises Problem 404."""
    record = await store.observe.records.read(job.id)
    edits = record.read_edits() if record else []
    number = part.removeprefix("payload-")
    if not (number.isdecimal() and len(number) < 3 and int(number) < len(edits)):
        raise Problem(404, "not-found", "There is no such payload")
    return _read_payload(store, job, edits[int(number)].payload)


job = View("job", "/jobs/{id}", read_job, "jobs")
