"""Storing jobs: RQ's own fields, one guarded script."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

from redis.asyncio import Redis
from rq import Queue, Retry
from rq.defaults import RQ_KEY_PREFIX
from rq.job import Job as RQJob
from rq.registry import CanceledJobRegistry, DeferredJobRegistry, ScheduledJobRegistry
from rq.utils import utcformat

from jobs import Job
from service.queue.connection import load_script
from service.queue.idempotency import Claim, StoredBeforeError, read_record
from service.queue.memory import MemoryGuard
from service.queue.settings import QueueSettings

BATCH_KEY = "errand:batch:{}"


class UnknownParentError(Exception):
    """Raised when a job is to wait for one that does not exist; nothing was stored."""


@dataclass(frozen=True)
class NewJob:
    """A job to be stored: its type, its payload as stored, and when it may run.

    `run_at` None means now. `after` are the ids of the jobs that must finish first.
    """

    type: Job[..., Any]
    payload: dict[str, Any]
    run_at: datetime | None = None
    after: tuple[str, ...] = ()
    batch: str | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def due_at(self) -> datetime | None:
        """When it is due, rounded up to a whole second: RQ 3 keeps no fractions, and no job may run early."""
        return self.run_at and datetime.fromtimestamp(math.ceil(self.run_at.timestamp()), UTC)


def derive_ids(batch: str, count: int) -> list[str]:
    """Return the ids of a batch's jobs, in order: its answer can be told again from its own id."""
    namespace = UUID(batch)
    return [str(uuid5(namespace, str(number))) for number in range(count)]


class Enqueuer:
    """Stores jobs over one asynchronous client."""

    def __init__(self, redis: Redis, settings: QueueSettings, types: dict[str, Job[..., Any]]) -> None:
        self.memory = MemoryGuard(redis)
        self._script = load_script(redis, "enqueue.lua")
        self._settings = settings
        # RQ's classes only build fields here; they ask for a connection and must never use it.
        self._queues = {name: _offline_queue(name) for name in {job.queue for job in types.values()}}

    async def store(
        self, jobs: Sequence[NewJob], batch: tuple[str, str] | None = None, claim: Claim | None = None
    ) -> list[str]:
        """Store all of the jobs or none; return their statuses. `batch` is an id and a type.

        Safe to call again with the same jobs. Jobs stored under a `claim` are due together and wait for no other.
        Raises FullRedisError, RedisError (the jobs may have been stored), UnknownParentError and StoredBeforeError.
        """
        await self.memory.check()
        fields = [self._build_fields(job) for job in jobs]
        head = self._build_head(jobs, batch)
        keys = [Queue.redis_queues_keys, BATCH_KEY.format(batch[0]) if batch else "-"]
        keys += [RQJob.key_for(job.id) for job in jobs]
        id = batch[0] if batch else jobs[0].id
        if claim:
            head["claim"] = claim.describe(id, jobs[0].created_at, jobs[0].due_at)
            keys.append(claim.record)
        args: list[Any] = [json.dumps(head)]
        for mapping in fields:
            args.append(2 * len(mapping))
            for pair in mapping.items():
                args.extend(pair)
        answer = await self._script(keys=keys, args=args)
        if answer[0] == -1:
            raise UnknownParentError(answer[1].decode())
        if answer[0] == -2:
            stored = read_record(answer[1])
            if stored.id != id:
                raise StoredBeforeError(stored)
            return [stored.status] * len(jobs)  # this very call, sent again because its reply was lost
        return [status.decode() for status in answer]

    def _build_fields(self, job: NewJob) -> dict[str, Any]:
        """Return the hash that RQ's `Queue.create_job` would save, less what the script decides."""
        waits = job.type.retry.draw_seconds()
        built = self._queues[job.type.queue].create_job(
            job.type.path,
            kwargs=job.payload,
            timeout=job.type.timeout_seconds,
            result_ttl=self._settings.result_ttl_seconds,
            failure_ttl=self._settings.failure_ttl_seconds,
            description=job.type.type,
            retry=Retry(len(waits), waits) if waits else None,
            depends_on=list(job.after) or None,
            job_id=job.id,
        )
        built.created_at = job.created_at
        fields = built.to_dict()
        del fields["status"]
        if job.batch:
            fields["errand_batch"] = job.batch
        return fields

    def _build_head(self, jobs: Sequence[NewJob], batch: tuple[str, str] | None) -> dict[str, Any]:
        now = datetime.now(UTC)
        waits = [job.run_at.timestamp() - now.timestamp() for job in jobs if job.run_at]
        return {
            "queues": {job.type.queue: self._name_keys(job.type.queue) for job in jobs},
            "jobs": [self._describe(job) for job in jobs],
            "now": int(time.time()),
            "enqueued_at": utcformat(now),
            "ttl_seconds": self._settings.failure_ttl_seconds + math.ceil(max(0, *waits, 0)),
            "batch": ["type", batch[1], "created_at", utcformat(now)] if batch else [],
        }

    def _name_keys(self, name: str) -> dict[str, str]:
        queue = self._queues[name]
        return {
            "list": queue.key,
            "scheduled": ScheduledJobRegistry(queue=queue).key,
            "deferred": DeferredJobRegistry(queue=queue).key,
            "canceled": CanceledJobRegistry(queue=queue).key,
        }

    def _describe(self, job: NewJob) -> dict[str, Any]:
        described: dict[str, Any] = {
            "id": job.id,
            "queue": job.type.queue,
            "parents": [
                {"id": id, "key": RQJob.key_for(id), "dependents": RQJob.dependents_key_for(id)} for id in job.after
            ],
            # RQ 3 writes this key with two colons (Job.dependencies_key).
            "dependencies": f"{RQ_KEY_PREFIX}:job::{job.id}:dependencies",
        }
        if job.due_at:
            described["score"] = int(job.due_at.timestamp())
        return described


def _offline_queue(name: str) -> Queue:
    queue = Queue(name, connection=_NoConnection(), serializer="json")  # type: ignore[arg-type]
    queue.redis_server_version = (7, 0, 0)  # spares RQ an INFO
    return queue


class _NoConnection:
    """Stands where RQ wants a client; a command on it is a mistake and raises AttributeError."""
