"""A job's page: shows besides RQ's fields what it was posted with, how far it is and what went wrong."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from flask import current_app
from pydantic_core import to_json
from rq.exceptions import InvalidJobOperation

from errand.api.dashboard.rq_classes import JSONJob, past_damage
from errand.redis import keys
from errand.redis.lua.loader import read_script
from errand.store.observe.bounded import cut_record
from errand.store.observe.payloads import BYTES_LIMIT, show_payload
from errand.store.status import JobStatus, Progress, read_status

OURS = ".run.perform"  # the end of the function's name of our jobs; RQ describes others by their arguments
LIST_CHARACTERS, PAGE_CHARACTERS = 200, 20_000  # of a description, in a row of a list and on a job's page


class ShownJob(JSONJob):
    """A job for its own page, which shows what can be read of it."""

    damaged: tuple[str, ...] = ()

    def restore(self, raw_data: Any) -> None:
        """Take the fields over; those that can't be read are left out, and named in `damaged`."""
        if not cut_record(raw_data).get(b"data"):
            self.damaged = ("data",)  # missing, or too large
        with past_damage():
            super().restore(raw_data)
            return
        fields = [name for name in raw_data if name != b"data" and not self._can_read(raw_data, name)]
        self.damaged = tuple(name.decode(errors="replace") for name in fields)
        created = b"created_at" in raw_data and b"created_at" not in fields
        super().restore({name: value for name, value in raw_data.items() if name not in fields})
        self.created_at = self.created_at if created else None  # RQ takes the present moment

    def _can_read(self, raw_data: Any, name: bytes) -> bool:
        with past_damage():
            super().restore({b"data": raw_data[b"data"], name: raw_data[name]})
            return True
        return False

    def get_status(self, refresh: bool = True) -> Any:
        """Return its status, or what is stored in its place."""
        try:
            with past_damage():
                return super().get_status(refresh)
        except InvalidJobOperation:
            return ""
        return (self.connection.hget(self.key, "status") or b"").decode(errors="replace")

    def latest_result(self, timeout: int = 0) -> Any:
        """Return its last result, None where that can't be read."""
        with past_damage():
            return super().latest_result(timeout)
        return None

    def return_value(self, refresh: bool = False) -> Any:
        """Return its result, None where there is none that JSON could show."""
        return self._facts.result if self._facts else None

    def get_meta(self, refresh: bool = True) -> dict[str, Any]:
        """Return what the API shows of it, before RQ's own metadata."""
        ours = dict(_list_facts(self._facts)) if self._facts else {}
        if self.damaged:
            ours["damaged"] = ", ".join(self.damaged)
        return {**ours, **super().get_meta(refresh)}

    @cached_property
    def _facts(self) -> JobStatus | None:
        script = self.connection.register_script(read_script("store/status"))
        with past_damage():
            return read_status(self.id, script(keys=[self.key, keys.RESULTS + self.id]))
        return None


def _list_facts(job: JobStatus) -> Iterator[tuple[str, Any]]:
    """Return what to show; of a job that is not ours nothing, except that its result can't be read."""
    if (job.attempts or job.progress.updated_at) and (text := describe_progress(job.progress)):
        yield "progress", text
    if job.attempts:
        yield "attempts", job.attempts
    if job.error and (job.attempts or job.status == "finished"):
        yield "error", f"{job.error.type}: {job.error.message}"
    if job.waiting:
        yield "waiting", job.waiting.reason
    if job.batch:
        yield "batch", job.batch
    if job.tags:
        yield "tags", ", ".join(job.tags)


def describe_progress(progress: Progress) -> str:
    """Return progress in words: «45 %: sending»."""
    share = "" if progress.percent is None else f"{progress.percent} %"
    return ": ".join(filter(None, [share or (f"{progress.done:g} done" if progress.done else ""), progress.message]))


def describe(job: JSONJob) -> str | None:
    """Return a job's description; of one of ours, its type and its payload as the API shows it."""
    payload = _read_payload(job)
    if payload is None:
        return job.description
    text = f"{job.description} {to_json(payload).decode()}"
    limit = PAGE_CHARACTERS if isinstance(job, ShownJob) else LIST_CHARACTERS
    return text if len(text) <= limit else f"{text[:limit]} …"


def _read_payload(job: JSONJob) -> Any:
    with past_damage():
        packed = job.data
        if len(packed) <= BYTES_LIMIT and job.func_name and job.func_name.endswith(OURS):
            type = current_app.types.get(job.description)  # type: ignore[attr-defined]
            return show_payload(packed, type.payload.whole if type else None)
    return None
