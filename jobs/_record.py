"""What an attempt writes on its job's hash, in fields of our own (they begin with `errand_`).

RQ writes back an old `meta` when it retries a job, so nothing of ours lives there. Every write is a script that asks
first whether the hash still exists: a job deleted while it runs must not come back as half a hash.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

from redis import RedisError
from rq import get_current_job

logger = logging.getLogger("errand.jobs")

MESSAGE_LIMIT = 2_000

_BEGIN = """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
redis.call('HINCRBY', KEYS[1], 'errand_attempts', 1)
redis.call('HDEL', KEYS[1], 'errand_progress', 'errand_error')
redis.call('PUBLISH', 'errand:events', KEYS[1]:match('[^:]+$')) -- for those who watch the job
return redis.call('HGET', KEYS[1], 'errand_batch')
"""
_SET = """
if redis.call('EXISTS', KEYS[1]) == 0 then return end
redis.call('HSET', KEYS[1], unpack(ARGV))
redis.call('PUBLISH', 'errand:events', KEYS[1]:match('[^:]+$'))
"""
_COUNT = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
"""


def job_id() -> str:
    """Return the id of the job that runs here; outside a job a new one, so that a plain call works too."""
    current = get_current_job()
    return current.id if current else str(uuid4())


def describe_error(error: BaseException) -> str:
    """Return an error as the status shows it: JSON of its type and the beginning of its message."""
    return _write_json({"type": type(error).__name__, "message": str(error)[:MESSAGE_LIMIT]})


class Record:
    """The running attempt's own lines in Redis; without a running RQ job every method does nothing.

    Errand's worker writes them itself, with the rest of what it records; it hands its job a `report_progress`, a
    `check_stop` that raises once somebody has stopped the job, and a `take_cancel` for what cancels a coroutine.
    """

    def __init__(self) -> None:
        self._job = get_current_job()
        self._report = getattr(self._job, "report_progress", None)
        self.check_stop: Callable[[], None] | None = getattr(self._job, "check_stop", None)
        self._take_cancel: Callable[[Callable[[], object]], None] | None = getattr(self._job, "take_cancel", None)
        if self._report is not None:
            self._job = None
        self._batch: str | None = None

    def _eval(self, script: str, key: str, *args: str) -> Any:
        assert self._job is not None
        return self._job.connection.eval(script, 1, key, *args)

    def begin(self) -> None:
        """Count the attempt and forget the last one's progress and error."""
        if self._job is not None:
            batch = self._eval(_BEGIN, self._job.key)
            self._batch = batch.decode() if batch else None

    def report(self, progress: dict[str, Any]) -> None:
        """Store a progress report; one that Redis does not take is dropped, for the work matters more."""
        if self._report is not None:
            self._report(_write_json(progress))
        elif self._job is not None:
            try:
                self._eval(_SET, self._job.key, "errand_progress", _write_json(progress))
            except RedisError as error:
                logger.warning("job %s: progress report dropped: %s", self._job.id, error)

    async def announce(self, coroutine: Awaitable[Any]) -> Any:
        """Return what `coroutine` does; tell the worker how to cancel it from another thread, while it waits."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if self._take_cancel is not None and task is not None:
            self._take_cancel(lambda: loop.call_soon_threadsafe(task.cancel))
        return await coroutine

    def succeed(self) -> None:
        """Note the end in the batch's own record, which outlives the job; work that is done must not fail for that."""
        if self._job is not None and self._batch:
            with suppress(RedisError):  # reading the batch notes it as well, while the job is there
                self._eval(_COUNT, f"errand:batch:{self._batch}", self._job.id, "finished")

    def fail(self, error: BaseException, permanent: bool) -> None:
        """Store the error for the status, which shows it before the retry too; a permanent one ends the retries."""
        if self._job is None:
            return
        if permanent:
            self._job.retries_left = 0
        with suppress(RedisError):  # the error itself is on its way to RQ, which records it as well
            self._eval(_SET, self._job.key, "errand_error", describe_error(error))


def _write_json(shown: dict[str, Any]) -> str:
    """Return JSON that any reader takes: numbers of other libraries as floats, broken Unicode (file names) replaced."""
    text = json.dumps(shown, default=float, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()
