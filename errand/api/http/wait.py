"""`Prefer: wait=N` (RFC 7240): the answer comes when the job or the batch has ended, or after N seconds."""

import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request

from errand.api.http.conditional import find_header
from errand.api.http.deadline import redis_deadline
from errand.api.http.problems import Problem
from errand.api.store import Store
from errand.api.views import BatchView, JobView
from errand.store.batch import BatchStatus
from errand.store.status import ENDED, JobStatus
from errand.store.watch.watcher import Watch

T = TypeVar("T")

LIMIT_SECONDS = 25  # proxies commonly end a request after 30 or 60 seconds

_PREFERENCE = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"?)+')  # a comma in quotes is part of a value
_WAIT = re.compile(r'wait\s*=\s*(?:([0-9]+)|"([0-9]+)")', re.IGNORECASE)

# For `openapi_extra`: the header is read by hand, so a request without it pays nothing.
PARAMETER: dict[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": f"`wait=N`: answer when the job has ended, or after N seconds ({LIMIT_SECONDS} at most).",
    "schema": {"type": "string"},
    "example": "wait=10",
}
BATCH_PARAMETER: dict[str, Any] = {
    **PARAMETER,
    "description": f"`wait=N`: answer when all of the batch has ended, or after N seconds ({LIMIT_SECONDS} at most).",
}
ENDED_IN_TIME: dict[int | str, dict[str, Any]] = {
    200: {"model": JobView, "description": "The job, which ended within the seconds of `Prefer: wait=N`"}
}

BATCH_ENDED_IN_TIME: dict[int | str, dict[str, Any]] = {
    200: {"model": BatchView, "description": "The batch, which ended within the seconds of `Prefer: wait=N`"}
}


def read_wait(request: Request) -> int | None:
    """Return the seconds that the client prefers to wait; what can't be understood is ignored, as the RFC has it."""
    header = find_header(request, b"prefer")
    for preference in _PREFERENCE.findall(header) if header else ():
        name = preference.partition(";")[0].strip()
        if re.match(r"wait\s*(=|$)", name, re.IGNORECASE):  # of several the first counts
            found = _WAIT.fullmatch(name)
            return _cap(found[1] or found[2]) if found else None
    return None


def _cap(digits: str) -> int:
    """Return the number that the digits mean, LIMIT_SECONDS at most; Python refuses to read a very long one."""
    digits = digits.lstrip("0")
    return min(LIMIT_SECONDS, int(digits or 0)) if len(digits) <= len(str(LIMIT_SECONDS)) else LIMIT_SECONDS


async def wait_for_end(store: Store, job: JobStatus, seconds: float) -> JobStatus | None:
    """Return the job as soon as it has ended, or as it is after so many seconds; None where it is gone.

    Raises Problem 503.
    """
    with store.watcher.watch_job(job) as watch:
        if await _is_over(store, watch, lambda found: found.status in ENDED, seconds):
            return watch.state
    async with redis_deadline():
        return await store.jobs.read(job.id)


async def wait_for_batch(store: Store, batch: BatchStatus, seconds: float) -> BatchStatus | None:
    """Return the batch as soon as all its jobs have ended, or as it is after so many seconds; None where it is gone.

    Raises Problem 503.
    """
    with store.watcher.watch_batch(batch) as watch:
        if await _is_over(store, watch, lambda found: found.has_ended, seconds):
            return watch.state
    async with redis_deadline():
        return await store.batches.read(batch.id)


async def _is_over(store: Store, watch: Watch[T], has_ended: Callable[[T], bool], seconds: float) -> bool:
    """Wait until what is watched has ended or is gone, at most so long; return whether it did."""
    deadline = time.monotonic() + seconds
    while watch.state is not None and not has_ended(watch.state) and not store.watcher.is_stopping:
        if not await watch.wait(deadline - time.monotonic()):
            break
    return watch.state is None or has_ended(watch.state)


def show_applied(seconds: int) -> dict[str, str]:
    """Return the header that says which preference was honoured."""
    return {"Preference-Applied": f"wait={seconds}"}


async def wait_for_new(store: Store, id: str, seconds: float) -> JobStatus | None:
    """Wait as `wait_for_end` does, for a job that was just stored; return None where Redis does not answer.

    With 0 seconds, return it as it is now.
    """
    try:
        async with redis_deadline():
            job = await store.jobs.read(id)
        return await wait_for_end(store, job, seconds) if job and seconds else job
    except Problem:
        return None


async def wait_for_new_batch(store: Store, id: str, seconds: float) -> BatchStatus | None:
    """Wait as `wait_for_batch` does, for a batch that was just stored; return None where Redis does not answer."""
    try:
        async with redis_deadline():
            batch = await store.batches.read(id)
        return await wait_for_batch(store, batch, seconds) if batch else None
    except Problem:
        return None
