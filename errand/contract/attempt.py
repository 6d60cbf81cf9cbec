"""The running attempt of a job, and what it writes: the interface between a job's code and the worker that runs it."""

import asyncio
import logging
import re
import time
from bisect import bisect_left
from collections.abc import Coroutine
from contextlib import suppress
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import uuid4

from redis import RedisError

from errand.contract.errors import OutsideJobError, describe_error, find_frame, write_json
from errand.redis import keys
from errand.redis.clock import Clock
from errand.redis.lua.loader import read_script

if TYPE_CHECKING:
    from rq.job import Job as RQJob

T = TypeVar("T")

logger = logging.getLogger("errand.jobs")
_OURS = re.compile(r"jobs\.(\w+)\.run\.perform")


class Attempt(Protocol):
    """One run of a job, as the worker that runs it records it.

    Errand's worker writes all of it together with the rest of what it records (errand/worker/attempt.py). Under a plain
    `rq worker` each call writes by itself (`PlainAttempt`), outside a job none does (`NoAttempt`).
    """

    def begin(self) -> str:
        """Count the attempt and forget the last one's progress and error.

        Return why it comes too late to run, "" where it does not.
        """

    def read_expiry(self) -> float | None:
        """Return when the job expires, in seconds since 1970, None where it does not."""

    def report(self, progress: dict[str, Any]) -> None:
        """Store a progress report. What Redis does not take is dropped: the work matters more."""

    def now(self) -> float:
        """Return the time in seconds since 1970: by Redis' clock, where that is known."""

    def check_stop(self) -> None:
        """Raise what ends the job, once somebody has stopped it."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what `coroutine` does, on the loop that the worker has for it."""

    def is_last(self) -> bool:
        """Return whether no other try follows, as far as this is known before its end."""

    def succeed(self) -> None:
        """Note that the work is done; what can't be noted must not fail it."""

    def fail(self, error: BaseException, permanent: bool) -> None:
        """Store the error for the status, which shows it before the retry too; a permanent one ends the retries."""


_current: ContextVar[Attempt | None] = ContextVar("attempt", default=None)
_running: set[object] = set()  # what runs jobs in this process: each attempt of a plain worker, or our worker


def enter(attempt: Attempt) -> None:
    """Let `attempt` be what `current_attempt` returns in this context from now on: for the worker that runs it."""
    _current.set(attempt)


def entered_attempt() -> Attempt | None:
    """Return the attempt that this context belongs to, None outside one and under a plain worker."""
    return _current.get()


def current_attempt() -> Attempt:
    """Return the attempt that runs here: the worker's, or one for the job that a plain `rq worker` runs."""
    if (attempt := _current.get()) is not None:
        return attempt
    job = current_job()
    return NoAttempt() if job is None else PlainAttempt(job)


def current_job() -> "RQJob | None":
    """Return RQ's job that runs here, None outside a job."""
    from rq import get_current_job  # it loads all of RQ, which a caller of `import errand` need not pay for

    return get_current_job()


def run_jobs_here() -> None:
    """Note that this process is a worker's: whatever runs in it from now on belongs to some job."""
    _running.add("worker")


def is_beside_job() -> bool:
    """Return whether this process runs jobs, so that code that finds none here has lost its job's context."""
    return bool(_running)


def job_id() -> str:
    """Return the id of the job that runs here.

    In a process that runs no jobs it is a new one at each call, so that a plain call of a job works. Raises
    OutsideJobError, which is a RuntimeError, in one that does: in a thread that a job has started without a copy of its
    context.
    """
    if (current := current_job()) is not None:
        return current.id
    if is_beside_job():
        raise OutsideJobError("job_id() found no job here")
    return str(uuid4())


class NoAttempt:
    """What a plain call of a job writes: nothing."""

    def begin(self) -> str:
        """Return "": it is never too late."""
        return ""

    def read_expiry(self) -> float | None:
        """Return None: it does not expire."""
        return None

    def report(self, progress: dict[str, Any]) -> None:
        """Do nothing."""

    def now(self) -> float:
        """Return this host's time."""
        return time.time()

    def check_stop(self) -> None:
        """Do nothing."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what `coroutine` does, on a loop of its own."""
        return asyncio.run(coroutine)

    def is_last(self) -> bool:
        """Return False: nobody counts the tries, or the worker does when the attempt has ended."""
        return False

    def succeed(self) -> None:
        """Do nothing."""

    def fail(self, error: BaseException, permanent: bool) -> None:
        """Do nothing."""


class PlainAttempt(NoAttempt):
    """An attempt under a plain `rq worker`, which writes fields of ours (`errand_…`) on the job's hash.

    RQ writes back an old `meta` when it retries a job, so nothing of ours lives there. Every write is a script that
    first checks that the hash still exists: a job deleted while it runs must not come back as half a hash.
    """

    def __init__(self, job: "RQJob") -> None:
        self._job = job
        self._batch = ""
        self._started_at: float | None = None
        self._clock = Clock()

    def begin(self) -> str:
        """Count the attempt and forget the last one's progress and error; return why it comes too late, or ""."""
        _running.add(self)
        asked_at = time.monotonic()
        batch, microseconds, expires_at, by, attempt = self._eval("attempt/begin", self._job.key)
        self._clock.note(microseconds, asked_at)
        self._started_at = self._clock.now()
        self._batch = batch.decode() if batch else ""
        if not expires_at or (by != b"end" and attempt > 1) or not self._is_over(expires_at):
            return ""
        return f"it had not {'ended' if by == b'end' else 'started'} by {expires_at.decode()}"

    def read_expiry(self) -> float | None:
        """Return when the job expires, None where it does not. Raises RedisError."""
        stored: Any = self._job.connection.hget(self._job.key, "errand_expires_at")
        if stored:
            self._clock.ask(self._job.connection)
        return _read_time(stored)

    def _is_over(self, stored: bytes) -> bool:
        expires_at = _read_time(stored)
        return expires_at is not None and self._clock.now() >= expires_at

    def now(self) -> float:
        """Return the time by Redis' clock."""
        return self._clock.now()

    def report(self, progress: dict[str, Any]) -> None:
        """Store a progress report; one that Redis does not take is dropped: the work matters more."""
        try:
            self._eval("attempt/set_fields", self._job.key, "errand_progress", write_json(progress))
        except RedisError as error:
            logger.warning("job %s: progress report dropped: %s", self._job.id, error)

    def is_last(self) -> bool:
        """Return whether RQ has no retry left for it."""
        return not self._job.retries_left

    def succeed(self) -> None:
        """Count the end and note it in the batch's own record, which outlives the job.

        Work that is done must not fail for that.
        """
        _running.discard(self)
        with suppress(RedisError):  # reading the batch notes it as well, while the job is there
            counted = self._count("finished")
            self._eval("attempt/count", keys.BATCH + self._batch, self._job.id, "finished", *counted)

    def fail(self, error: BaseException, permanent: bool) -> None:
        """Count the failure and store the error for the status, which shows it before the retry too.

        A permanent one ends the retries.
        """
        _running.discard(self)
        if permanent:
            self._job.retries_left = 0
        counted = self._count("retried" if self._job.retries_left else "failed")
        with suppress(RedisError):  # the error itself is on its way to RQ, which records it as well
            self._eval("attempt/fail", self._job.key, describe_error(error), find_frame(error), *counted)

    def _count(self, ending: str) -> list[str]:
        """Return the fields of the counts for such an end, and how many of each (errand:tally)."""
        ours = _OURS.fullmatch(self._job.func_name or "")
        type, started_at, queued_at = ours[1] if ours else "other", self._started_at, self._job.enqueued_at
        run = None if started_at is None else max(0.0, self._clock.now() - started_at)
        wait = None if started_at is None or queued_at is None else max(0.0, started_at - queued_at.timestamp())
        counted = [f"{type}|{_find_bucket(wait)}|{_find_bucket(run)}|{ending}", "1"]
        for name, seconds in (("w", wait), ("r", run)):
            counted += [] if seconds is None else [f"{type}|{name}", str(round(seconds * 1_000_000))]
        return counted

    def _eval(self, script: str, key: str, *args: str) -> Any:
        return self._job.connection.eval(read_script(script), 1, key, *args)


def _find_bucket(seconds: float | None) -> str:
    return "" if seconds is None else str(bisect_left(keys.TALLY_BOUNDS, seconds))


def _read_time(stored: bytes | None) -> float | None:
    """Return the seconds since 1970 of a time in a job's record, None where there is none that can be read."""
    try:
        return datetime.fromisoformat((stored or b"").decode()).timestamp()
    except ValueError:
        return None
