"""The attempts of a job: what was written down of those that failed, were handed back or lost, and the newest one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from errand.redis import keys
from errand.redis.lua.loader import read_script
from errand.store.observe.traces import fold_trace, read_trace
from errand.store.status import JobError, read_error


@dataclass(frozen=True)
class AttemptRecord:
    """One run of a job. Times are RFC 3339, UTC; `outcome` is None while it runs.

    `frame` is where in the job's own code its error came from; `traceback` is None where there is none (any more).
    """

    number: int
    worker: str | None
    started_at: str | None
    ended_at: str | None
    outcome: str | None
    error: JobError | None = None
    frame: str | None = None
    traceback: str | None = None


class AttemptReader:
    """Reads attempts over one asynchronous client."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(read_script("observe/attempts"))

    async def read(self, id: str, full: bool = False) -> list[AttemptRecord] | None:
        """Return a job's attempts, oldest first, None where nothing is known of such a job.

        Their tracebacks are folded (errand/store/observe/traces.py), or where `full` is asked for as Python wrote them.
        Raises RedisError.
        """
        names = [keys.JOB + id, keys.RESULTS + id, keys.ATTEMPTS + id]
        answer = await self._script(keys=names)
        job, kept, traces, recorded = json.loads(answer.decode(errors="replace"))
        if not job["status"] and not kept:
            return None
        texts = {name: _show_trace(trace, full) for name, trace in traces.items()}
        pairs = zip(kept[::2], kept[1::2], strict=True) if kept else ()
        attempts = {int(number): _read_kept(int(number), json.loads(stored), texts) for number, stored in pairs}
        newest = _read_newest(Newest(job, recorded, full), attempts)
        if newest:
            attempts[newest.number] = newest
        return [attempts[number] for number in sorted(attempts)]


def _show_trace(packed: str | None, full: bool) -> str | None:
    text = read_trace(packed) if packed else None
    return text if text is None or full else fold_trace(text)


def _read_kept(number: int, kept: Mapping[str, Any], traces: Mapping[str, str | None]) -> AttemptRecord:
    return AttemptRecord(
        number=number,
        worker=kept.get("worker") or None,
        started_at=_write_time(kept.get("started")),
        ended_at=_write_time(kept.get("ended")),
        outcome=kept.get("outcome"),
        error=JobError(kept["error"]["type"], kept["error"]["message"]) if kept.get("error") else None,
        frame=kept.get("frame") or None,
        traceback=traces.get(kept.get("trace", "")),
    )


def _write_time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Newest:
    """What the job's own record and RQ's last result, a packed traceback, say of the newest attempt."""

    job: Mapping[str, str]
    recorded: str | None
    full: bool

    def count(self) -> int:
        """Return how often the job began; of one that is none of ours RQ counts the retries alone."""
        count, retries = self.job.get("errand_attempts", ""), self.job.get("number_of_retries", "")
        if count.isdecimal():
            return int(count)
        return 1 + (int(retries) if retries.isdecimal() else 0)

    def read_error(self) -> JobError | None:
        """Return its error; one that can't be read is none."""
        try:
            return read_error(self.job.get("errand_error"), self.recorded, self.job["status"])
        except (ValueError, TypeError):
            return None

    def read_trace(self) -> str | None:
        """Return its traceback."""
        return _show_trace(self.recorded, self.full)


def _read_newest(newest: Newest, attempts: Mapping[int, AttemptRecord]) -> AttemptRecord | None:
    """Return the newest attempt where it runs, has finished, or is not written down, or not all of it is there.

    Plain workers write nothing down, nor did the versions before this one.
    """
    job, number = newest.job, newest.count()
    status, known = job["status"], attempts.get(number)
    if not number or not job.get("started_at"):
        return None
    if known and status != "finished":
        has_failed = status in keys.WITH_TRACEBACK and known.outcome in ("failed", "lost") and not known.traceback
        return replace(known, traceback=newest.read_trace()) if has_failed else None
    begun = AttemptRecord(number, job.get("worker_name"), job["started_at"], job.get("ended_at"), status)
    if status == "started":
        return replace(begun, ended_at=None, outcome=None)
    return begun if status == "finished" else _build_failure(newest, begun)


def _build_failure(newest: Newest, begun: AttemptRecord) -> AttemptRecord | None:
    """Return an attempt that has not finished, as far as the job's record has it; None where it did not fail."""
    job, status, error = newest.job, newest.job["status"], newest.read_error()
    failed = replace(begun, error=error, frame=job.get("errand_frame"))
    if status in keys.WITH_TRACEBACK:
        is_lost = status == "failed" and error is not None and error.type == "Lost"
        return replace(failed, outcome="lost" if is_lost else status, traceback=newest.read_trace())
    is_again = status in keys.RETRYING_STATUSES and error is not None and not job.get("errand_parked")
    return replace(failed, outcome="failed") if is_again else None
