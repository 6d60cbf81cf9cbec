"""`run.enqueue(…)`: a job stores another one, over its own connection."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Protocol
from uuid import uuid4

from redis import RedisError

from errand.contract.attempt import current_job, is_beside_job
from errand.contract.errors import OutsideJobError
from errand.contract.queue import Queue
from errand.contract.retry import Backoff
from errand.redis.lua.loader import read_script


class Storable(Protocol):
    """A job type, as far as it takes to store a job of it."""

    type: str
    path: str
    queue: Queue

    @property
    def timeout_seconds(self) -> int:
        """How long an attempt may take."""

    @property
    def retry(self) -> Backoff:
        """When its failed attempts are tried again."""


Sent = tuple[str, dict[str, Any]]
_recorded: ContextVar[list[Sent] | None] = ContextVar("recorded", default=None)


@contextmanager
def recording() -> Iterator[list[Sent]]:
    """Keep what is enqueued inside the block in a list of `(type, payload)` instead of storing it: for unit tests."""
    sent: list[Sent] = []
    token = _recorded.set(sent)
    try:
        yield sent
    finally:
        _recorded.reset(token)


def note_recorded(job: Storable, payload: dict[str, Any]) -> str | None:
    """Return an id for a job that a `recording()` keeps instead of storing it, None where there is none."""
    recorded = _recorded.get()
    if recorded is None:
        return None
    recorded.append((job.type, payload))
    return str(uuid4())


def enqueue(job: Storable, payload: dict[str, Any]) -> str:
    """Store a job over the running job's own connection, with its lifetimes; return the new id.

    Raises RuntimeError outside a job, OutsideJobError in a thread of one that lost its context, and RedisError. RQ's
    `unique` is a script that checks first: if redis-py sends it twice after a lost reply, the second answer is
    DuplicateJobError, and the job is there once.
    """
    if new_id := note_recorded(job, payload):
        return new_id
    new_id = str(uuid4())
    current = current_job()
    if current is None:
        called = f"{job.path.removesuffix('.perform')}.enqueue()"
        if is_beside_job():
            raise OutsideJobError(f"{called} found no job here")
        raise RuntimeError(
            f"{called} was called outside a job; "
            f"use DurableTasks in an endpoint, store() or store_sync() elsewhere, errand.recording() in a test"
        )
    from rq import Queue as RQQueue  # inside a job all of RQ is loaded already; `import errand` need not pay for it
    from rq import Retry
    from rq.exceptions import DuplicateJobError
    from rq.job import JobStatus

    queue = RQQueue(job.queue.name, connection=current.connection, serializer="json")
    new = queue.create_job(
        job.path,
        kwargs=payload,
        timeout=job.timeout_seconds,
        result_ttl=current.result_ttl,
        failure_ttl=current.failure_ttl,
        description=job.type,
        status=JobStatus.QUEUED,
        retry=Retry(job.retry.retries, waits) if (waits := job.retry.draw_seconds()) else None,
        job_id=new_id,
    )
    with suppress(DuplicateJobError):
        queue.enqueue_job(new, unique=True)
    announce = current.connection.register_script(read_script("attempt/announce"))
    with suppress(RedisError):  # the job is stored; a worker that isn't woken looks four times a second
        announce(args=[job.queue.name, job.type, new_id, job.retry.policy])
    return new_id
