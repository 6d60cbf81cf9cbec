"""Reading a job: RQ's hash and results, and our own fields, as one typed record."""

import json
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis
from rq.utils import utcformat

from errand.contract.expiry import write_expiry
from errand.redis import keys
from errand.redis.group_commit import GroupCommit
from errand.store.new_job import NewJob
from errand.store.observe.bounded import TooLargeError, unzip

PLAIN = ("status", "origin", "description", "created_at", "enqueued_at", "started_at", "ended_at")
DEPTH_LIMIT = 200  # of a result: what writes JSON gives up at 255
ENDED = frozenset(keys.ENDED)


@dataclass(frozen=True)
class Progress:
    """What the last report said; `percent` is 100 when the job has finished and only then."""

    done: float | None = None
    total: float | None = None
    percent: int | None = None
    message: str = ""
    updated_at: str | None = None


NO_PROGRESS = Progress()


@dataclass(frozen=True)
class JobError:
    """Why the last attempt failed."""

    type: str
    message: str


@dataclass(frozen=True)
class Waiting:
    """Why no worker takes a queued job, and since when."""

    reason: str
    since: str


@dataclass(frozen=True)
class LinkedJob:
    """A job that waits for another one; `status` is None where it has expired."""

    id: str
    status: str | None


@dataclass  # frozen it would take 2 µs more to build, in each answer to a POST
class JobFields:
    """What the API shows of every job. Times are RFC 3339, UTC.

    One flat record, as the JSON is flat; One flat record of more than 15 fields, because the JSON is flat.
    """

    id: str  # a UUID
    type: str  # the job type, `email`
    queue: str  # where it waits, or would
    status: str  # RQ's word
    progress: Progress
    attempts: int  # how often it has started
    interruptions: int  # attempts that were broken off because their worker stopped
    losses: int  # attempts whose process died
    retries_left: int  # how often a failed attempt may be tried again
    created_at: str | None
    enqueued_at: str | None  # when it was queued last; None where it has not been yet
    run_at: str | None  # when it is due, while it waits for that
    started_at: str | None  # of the last attempt
    ended_at: str | None  # None until the job has ended, however many attempts have
    result: Any  # what `run` returned; None until the job has finished
    error: JobError | None  # why the last attempt failed, or why the result can't be shown
    tags: list[str]
    depends_on: list[str]  # ids of the jobs and batches that must finish first
    dependents: list[LinkedJob]


@dataclass
class JobStatus(JobFields):
    """One job as it is now: as it was read, or as it was just stored."""

    waiting: Waiting | None = None
    dependents_pending: int = 0  # dependents that are still to be settled, once it has ended
    expires_at: str | None = None  # when it is canceled if it has not started, or ended
    batch: str | None = None  # the id of the one that it belongs to
    lines: int = 0  # for those who watch it: the number of the last one that it logged or printed


def build_status(job: NewJob, status: str) -> JobStatus:
    """Return a job that was just stored as it would be read now, without reading it."""
    assert job.created_at is not None
    created_at = utcformat(job.created_at)
    expires_at = job.find_expiry(job.created_at)
    return JobStatus(
        id=job.id,
        type=job.type.type,
        queue=job.type.queue.name,
        status=status,
        progress=NO_PROGRESS,
        attempts=0,
        interruptions=0,
        losses=0,
        retries_left=job.retry.retries,
        created_at=created_at,
        enqueued_at=created_at if status == "queued" else None,
        run_at=_write_time(job.due_at) if job.due_at else None,
        started_at=None,
        ended_at=None,
        result=None,
        error=None,
        tags=list(job.tags),
        depends_on=list(job.after),
        dependents=[],
        expires_at=None if expires_at is None else write_expiry(expires_at),
        batch=job.batch,
    )


class StatusReader:
    """Reads jobs over one asynchronous client, for those who watch them with `lines`."""

    def __init__(self, redis: Redis, with_lines: bool = False) -> None:
        self._script = GroupCommit(redis, "store/watched" if with_lines else "store/status")

    async def read(self, id: str) -> JobStatus | None:
        """Return the job, None where there is none. Raises RedisError and TimeoutError."""
        return read_status(id, await self._script.call([keys.JOB + id, keys.RESULTS + id]))


def read_status(id: str, answer: bytes) -> JobStatus | None:
    """Return a job out of the script's answer, None where there is none. What can't be read of it is its error."""
    found, last, due, children, *pending = json.loads(answer.decode(errors="replace"))
    if "status" not in found:
        return None
    try:
        return _build(id, found, last, due, children, *pending)
    except (ValueError, TypeError, AttributeError, ArithmeticError):
        whole = {name: value for name, value in found.items() if name in PLAIN}
        error = json.dumps({"type": "DamagedJob", "message": "a part of its record can't be read"})
        return _build(id, {**whole, "errand_error": error}, None, None, ())


def _build(
    id: str, found: dict[str, str], last: Any, due: str | None, children: Any, pending: int | None = None
) -> JobStatus:
    status = found["status"]
    recorded = dict(zip(last[::2], last[1::2], strict=True)) if last else {}
    trace = recorded.get("exc_string") or (keys.TOO_LARGE if "exc_string_bytes" in recorded else None)
    error = read_error(found.get("errand_error"), trace, status)
    result, unreadable = _read_result(recorded) if status == "finished" else (None, None)
    return JobStatus(
        id=id,
        type=found.get("description", ""),
        queue=found.get("origin", ""),
        status=status,
        progress=_read_progress(found.get("errand_progress"), status == "finished"),
        attempts=_read_count(found.get("errand_attempts")),
        interruptions=_read_count(found.get("errand_interruptions")),
        losses=_read_count(found.get("errand_losses")),
        retries_left=_read_count(found.get("retries_left")),
        created_at=found.get("created_at"),
        enqueued_at=found.get("enqueued_at"),
        run_at=_write_time(datetime.fromtimestamp(float(due), UTC)) if due else None,
        started_at=found.get("started_at"),
        ended_at=found.get("ended_at") if status in ENDED else None,
        result=result,
        error=unreadable if status == "finished" else error,
        waiting=_read_waiting(found.get("errand_parked")) if status == "queued" else None,
        expires_at=found.get("errand_expires_at"),
        lines=_read_count(found.get("errand_lines", "").partition(" ")[0]),
        batch=found.get("errand_batch"),
        tags=json.loads(found.get("errand_tags", "[]")),
        depends_on=json.loads(found.get("dependency_ids", "[]")),
        dependents=[LinkedJob(child, word or None) for child, word in children or ()],
        dependents_pending=pending or 0,
    )


def _write_time(due_at: datetime) -> str:
    return due_at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _read_progress(stored: str | None, finished: bool) -> Progress:
    report = json.loads(stored) if stored else {}
    done, total = report.get("done"), report.get("total")
    percent = 100 if finished else min(99, int(100 * done / total)) if done is not None and total else None
    return Progress(done, total, percent, report.get("message", ""), report.get("updated_at"))


def _read_waiting(stored: str | None) -> Waiting | None:
    if not stored:
        return None
    found = json.loads(stored)
    return Waiting(found["reason"], found["since"])


def _read_count(stored: str | None) -> int:
    return int(stored) if stored and stored.isdecimal() else 0


def _read_result(recorded: dict[str, str]) -> tuple[Any, JobError | None]:
    """Return a result, or why there is none to show: a plain worker stores what its job class likes."""
    if size_bytes := _read_count(recorded.get("return_value_bytes")):
        text = f"its result is too large to be shown: it has {size_bytes:,} bytes, more than {keys.RESULT_BYTES:,}"
        return None, JobError("UnreadableResult", text)
    stored = recorded.get("return_value")
    try:
        return read_json(b64decode(stored).decode() if stored else "null"), None
    except (ValueError, RecursionError) as error:
        return None, JobError("UnreadableResult", f"its result is stored, and no JSON that could be shown: {error}")


def read_json(text: str) -> Any:
    """Return what JSON says. Raises ValueError and RecursionError where an answer could not hold that."""
    found = json.loads(text)
    json.dumps(found, allow_nan=False, ensure_ascii=False).encode()  # no 1e999, no half a surrogate pair
    if text.count("[") + text.count("{") > DEPTH_LIMIT:
        _check_depth(found, DEPTH_LIMIT)
    return found


def _check_depth(value: Any, left: int) -> None:
    if left < 0:
        raise ValueError(f"it goes deeper than {DEPTH_LIMIT} levels")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_depth(inner, left - 1)


def read_error(stored: str | None, trace: str | None, status: str) -> JobError | None:
    """Return the error that the attempt noted itself, else what RQ recorded for one that died without noting any.

    `trace` is keys.TOO_LARGE for a traceback that was not read.
    Raises ValueError and TypeError where that can't be read.
    """
    if stored:
        return JobError(**json.loads(stored))
    if not trace or status not in keys.WITH_TRACEBACK:
        return None
    try:
        if trace == keys.TOO_LARGE:
            raise TooLargeError(keys.TRACE_BYTES)
        text = unzip(b64decode(trace), keys.TRACE_BYTES).decode(errors="replace")
    except TooLargeError:
        return JobError("Unknown", "the recorded error is too large to be shown")
    except ValueError:
        return JobError("Unknown", "the recorded error can't be read")
    last_line = text.strip().rpartition("\n")[2]
    kind, colon, message = last_line.partition(": ")
    return JobError(kind.rpartition(".")[2], message) if colon and " " not in kind else JobError("Lost", last_line)
