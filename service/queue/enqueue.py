"""Storing jobs: RQ's own fields, one guarded script."""

import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from uuid import UUID, uuid4, uuid5

from redis.asyncio import Redis
from rq import Queue, Retry
from rq.job import Dependency
from rq.job import Job as RQJob
from rq.rate_limit import RateLimit
from rq.serializers import JSONSerializer
from rq.utils import utcformat

from jobs import Job
from service.queue.flights import Flights
from service.queue.idempotency import Claim, StoredBeforeError, read_record
from service.queue.memory import MemoryGuard
from service.queue.settings import LifetimeSettings

BATCH_KEY = "errand:batch:{}"
OWN = ("status", "created_at", "data", "retry_intervals")  # what differs between jobs that are alike


class UnknownParentError(Exception):
    """Raised when a job is to wait for one that does not exist; nothing was stored."""


class TooManyDependentsError(Exception):
    """Raised when too many jobs would wait for one; the text is its id, nothing was stored."""


@dataclass(frozen=True)
class NewJob:
    """A job to be stored: its type, its payload as stored, and when it may run.

    `run_at` None means now. `after` are the ids of the jobs that must finish first; what becomes of the job when one of
    them fails, `on_failure` says: cancel, run or wait. `limit` is a concurrency key and how many jobs under it may be
    queued or run at once.
    """

    type: Job[..., Any]
    payload: dict[str, Any]
    run_at: datetime | None = None
    after: tuple[str, ...] = ()
    batch: str | None = None
    on_failure: str = "cancel"
    at_front: bool = False
    tags: tuple[str, ...] = ()
    limit: tuple[str, int] | None = None
    webhook: str | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def due_at(self) -> datetime | None:
        """When it is due, rounded up to a whole second: RQ 3 keeps no fractions, and no job may run early."""
        return self.run_at and datetime.fromtimestamp(math.ceil(self.run_at.timestamp()), UTC)

    @property
    def options(self) -> tuple[object, ...]:
        """All that an ordinary job does without."""
        return self.run_at, self.after, self.batch, self.at_front, self.tags, self.limit, self.webhook

    def tell_shared(self) -> tuple[object, ...]:
        """Return what must be equal in jobs whose records differ in their data and retries alone."""
        return self.type.type, self.created_at, self.on_failure, self.options


def derive_ids(batch: str, count: int) -> list[str]:
    """Return the ids of a batch's jobs, in order: its answer can be told again from its own id."""
    namespace = UUID(batch)
    return [str(uuid5(namespace, str(number))) for number in range(count)]


class Enqueuer:
    """Stores jobs over one asynchronous client."""

    def __init__(self, redis: Redis, settings: LifetimeSettings, types: dict[str, Job[..., Any]]) -> None:
        self.memory = MemoryGuard(redis)
        self.builder = CallBuilder(settings, types)
        self._flights = Flights(redis, "enqueue.lua")

    async def store(
        self, jobs: Sequence[NewJob], batch: tuple[str, str] | None = None, claim: Claim | None = None
    ) -> list[str]:
        """Store all of the jobs or none; return their statuses. `batch` is an id and a type.

        Safe to call again with the same jobs. Jobs stored under a `claim` are due together and wait for no other.
        Raises FullRedisError, RedisError or TimeoutError (the jobs may have been stored), UnknownParentError,
        TooManyDependentsError and StoredBeforeError.
        """
        await self.memory.check()
        id = batch[0] if batch else jobs[0].id
        answer = await self._flights.call(*self.builder.build(jobs, batch, claim))
        if isinstance(answer, bytes):
            return answer.decode().split(" ")
        if answer[0] == -1:
            raise UnknownParentError(answer[1].decode())
        if answer[0] == -3:
            raise TooManyDependentsError(answer[1].decode())
        stored = read_record(answer[1])
        if stored.id != id:
            raise StoredBeforeError(stored)
        return stored.list_statuses(len(jobs))  # this very call, sent again because its reply was lost


class CallBuilder:
    """Builds what the script is called with; sends nothing."""

    def __init__(self, settings: LifetimeSettings, types: dict[str, Job[..., Any]]) -> None:
        self._settings = settings
        # RQ's classes only build fields here; they ask for a connection and must never use it.
        self._queues = {name: offline_queue(name) for name in {job.queue for job in types.values()}}
        self._plain = {job.type: json.dumps(self._describe(NewJob(job, {}))) for job in types.values()}

    def build(
        self, jobs: Sequence[NewJob], batch: tuple[str, str] | None = None, claim: Claim | None = None
    ) -> tuple[list[str], list[str | bytes | int]]:
        """Return the script's keys and arguments for a call that stores all of the jobs or none, from now on."""
        record = BATCH_KEY.format(batch[0]) if batch else "-"
        keys = [Queue.redis_queues_keys, record, claim.record if claim else "-"]
        return keys + [RQJob.key_for(job.id) for job in jobs], self._build_args(jobs, batch, claim)

    def _build_args(
        self, jobs: Sequence[NewJob], batch: tuple[str, str] | None, claim: Claim | None
    ) -> list[str | bytes | int]:
        now = datetime.now(UTC)
        seconds = max((job.run_at.timestamp() - now.timestamp() for job in jobs if job.run_at), default=0)
        ttl_seconds = self._settings.failure_ttl_seconds + math.ceil(max(0, seconds))
        more: dict[str, Any] = {}
        if batch:
            more["batch"] = ["type", batch[1], "created_at", utcformat(now)]
            more["batch"] += ["webhook", jobs[0].webhook] if jobs[0].webhook else []
        if claim:
            more["claim"] = claim.describe(batch[0] if batch else jobs[0].id, jobs[0].created_at, jobs[0].due_at)
        args: list[str | bytes | int] = [int(now.timestamp()), utcformat(now), ttl_seconds, json.dumps(more)]
        for _, alike in groupby(jobs, NewJob.tell_shared):
            group = list(alike)
            created_at = group[0].created_at
            created_us = round(created_at.timestamp() * 1_000_000)
            args += [self._tell_shared(group[0]), utcformat(created_at), created_us, len(group)]
            for job in group:
                args += [_pack(job), _draw_waits(job)]
        return args

    def _tell_shared(self, job: NewJob) -> str:
        """Return, as JSON, what a job shares with others that are alike."""
        if any(job.options):
            return json.dumps(self._describe(job))
        return self._plain[job.type.type]

    def _describe(self, job: NewJob) -> dict[str, Any]:
        """Return the hash that RQ's `Queue.create_job` would save, less what is a job's own or the script decides."""
        tries = job.type.retry.tries
        built = self._queues[job.type.queue].create_job(
            job.type.path,
            timeout=job.type.timeout_seconds,
            result_ttl=self._settings.result_ttl_seconds,
            failure_ttl=self._settings.failure_ttl_seconds,
            description=job.type.type,
            retry=Retry(tries - 1) if tries > 1 else None,
            depends_on=_describe_parents(job),
            rate_limit=RateLimit(*job.limit) if job.limit else None,
        )
        if job.at_front:
            built.enqueue_at_front = True
        fields = built.to_dict() | _describe_own(job)
        shared = [str(part) for pair in fields.items() if pair[0] not in OWN for part in pair]
        described: dict[str, Any] = {"queue": job.type.queue, "type": job.type.type, "fields": shared}
        described |= {"after": job.after, "on_failure": job.on_failure, "front": job.at_front, "tags": job.tags}
        if job.limit:
            described |= {"limit": job.limit}
        return described | ({"score": int(job.due_at.timestamp())} if job.due_at else {})


def _describe_parents(job: NewJob) -> Dependency | list[Dependency | RQJob | str] | None:
    """Return what it waits for, in RQ's words."""
    if job.after and job.on_failure == "run":
        return Dependency(list(job.after), allow_failure=True)
    return list(job.after) or None


def _describe_own(job: NewJob) -> dict[str, str]:
    """Return the fields that RQ has none for."""
    own = {
        "errand_batch": job.batch,
        "errand_tags": json.dumps(job.tags) if job.tags else None,
        "errand_on_failure": job.on_failure if job.after and job.on_failure != "cancel" else None,
        "errand_webhook": None if job.batch else job.webhook,  # a batch is told of as a whole
    }
    return {name: value for name, value in own.items() if value}


def _pack(job: NewJob) -> bytes:
    """Return a job's function and arguments as RQ's `Job.data` has them, in a window of 4 KB.

    To set up zlib's usual 32 KB takes ten times as long as to pack a payload of ordinary size.
    """
    packer = zlib.compressobj(wbits=12, memLevel=5)
    return packer.compress(JSONSerializer.dumps((job.type.path, None, (), job.payload))) + packer.flush()


def _draw_waits(job: NewJob) -> str:
    waits = job.type.retry.draw_seconds()
    return json.dumps(waits) if waits else ""


def offline_queue(name: str) -> Queue:
    """Return a queue that builds jobs' fields and sends nothing."""
    queue = Queue(name, connection=_NoConnection(), serializer="json")  # type: ignore[arg-type]
    queue.redis_server_version = (7, 0, 0)  # spares RQ an INFO
    return queue


class _NoConnection:
    """Stands where RQ wants a client; a command on it is a mistake and raises AttributeError."""
