"""`run.enqueue(…)`: a job that asks for another one."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from redis import RedisError
from rq import Queue, Retry, get_current_job
from rq.exceptions import DuplicateJobError
from rq.job import JobStatus

if TYPE_CHECKING:
    from jobs._job import Job

# Lists a job for GET /v1/jobs, as service/queue/enqueue.lua does, and wakes the idle; both may be done twice.
# ARGV  its queue, its type, its id, when it was created in microseconds
TELL = """#!lua flags=allow-oom
local index = 'errand:index:' .. ARGV[1] .. ':' .. ARGV[2]
redis.call('ZADD', index, ARGV[4], ARGV[3])
redis.call('ZADD', 'errand:indexes', 0, index)
redis.call('PUBLISH', 'errand:work', ARGV[1])
"""
Sent = tuple[str, dict[str, Any]]
_recorded: ContextVar[list[Sent] | None] = ContextVar("recorded", default=None)


@contextmanager
def recording() -> Iterator[list[Sent]]:
    """Keep what is enqueued inside the block in a list of `(type, payload)` instead of sending it: for unit tests."""
    sent: list[Sent] = []
    token = _recorded.set(sent)
    try:
        yield sent
    finally:
        _recorded.reset(token)


def enqueue(job: "Job[..., Any]", payload: dict[str, Any]) -> str:
    """Store a job over the running job's own connection, with its lifetimes; return the new id.

    Raises RuntimeError outside a job. RQ's `unique` is a guarded script: should a lost reply make redis-py send it
    twice, the second answer is DuplicateJobError, and the job is there once.
    """
    new_id = str(uuid4())
    recorded = _recorded.get()
    if recorded is not None:
        recorded.append((job.type, payload))
        return new_id
    current = get_current_job()
    if current is None:
        raise RuntimeError(
            f"jobs.{job.type}.run.enqueue() was called outside a job; "
            f"use DurableTasks in an endpoint, POST /v1/jobs/{job.type} elsewhere, jobs.recording() in a test"
        )
    queue = Queue(job.queue, connection=current.connection, serializer="json")
    new = queue.create_job(
        job.path,
        kwargs=payload,
        timeout=job.timeout_seconds,
        result_ttl=current.result_ttl,
        failure_ttl=current.failure_ttl,
        description=job.type,
        status=JobStatus.QUEUED,
        retry=Retry(len(waits), waits) if (waits := job.retry.draw_seconds()) else None,
        job_id=new_id,
    )
    with suppress(DuplicateJobError):
        queue.enqueue_job(new, unique=True)
    created_us = round(new.created_at.timestamp() * 1_000_000)
    with suppress(RedisError):  # the job is stored; a worker that does not hear of it looks four times a second
        current.connection.register_script(TELL)(args=[job.queue, job.type, new_id, created_us])
    return new_id
