"""A new job's fields as RQ stores them, and the call of the script that stores jobs."""

import json
import math
import zlib
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from rq import Queue, Retry
from rq.job import Dependency
from rq.job import Job as RQJob
from rq.rate_limit import RateLimit
from rq.serializers import JSONSerializer
from rq.utils import utcformat

from errand.contract.expiry import write_expiry
from errand.contract.job import Job
from errand.redis import keys
from errand.redis.clock import Clock
from errand.store.bodies import describe_bodies
from errand.store.idempotency import Claim
from errand.store.new_job import NewJob
from errand.store.settings import LifetimeSettings

OWN = ("status", "created_at", "data", "retry_intervals")  # what differs between jobs that are alike


class CallBuilder:
    """Builds what the script is called with; sends nothing."""

    def __init__(self, settings: LifetimeSettings, types: dict[str, Job[..., Any]], clock: Clock | None = None) -> None:
        self._settings = settings
        self.clock = clock or Clock()
        # RQ's classes only build fields here; they ask for a connection and must never use it.
        self._queues = {name: offline_queue(name) for name in {job.queue.name for job in types.values()}}
        self._plain = {job.type: json.dumps(self._describe(NewJob(job, {}), None)) for job in types.values()}

    def build(
        self,
        jobs: Sequence[NewJob],
        batch: tuple[str, str] | None = None,
        claim: Claim | None = None,
        holder: str | None = None,
    ) -> tuple[list[str], list[str | bytes | int]]:
        """Return the script's keys and arguments for a call that stores all of the jobs or none, from now on.

        `holder` holds what of their payloads lies outside.
        """
        record = keys.BATCH + batch[0] if batch else keys.QUEUES
        names = [keys.QUEUES, record, claim.record if claim else keys.QUEUES]
        names += [keys.JOB + job.id for job in jobs]
        if jobs[0].unique:
            names.append(f"{keys.UNIQUE}{jobs[0].type.type}:{jobs[0].unique[0]}")
        return names, self._build_args(jobs, batch, claim, holder)

    def _build_args(
        self, jobs: Sequence[NewJob], batch: tuple[str, str] | None, claim: Claim | None, holder: str | None
    ) -> list[str | bytes | int]:
        now = self.clock.moment()
        seconds = max((job.run_at.timestamp() - now.timestamp() for job in jobs if job.run_at), default=0)
        ttl_seconds = self._settings.failure_ttl_seconds + math.ceil(max(0, seconds))
        more: dict[str, Any] = {}
        if batch:
            more["batch"] = ["type", batch[1], "created_at", utcformat(now)]
            more["batch"] += ["webhook", jobs[0].webhook] if jobs[0].webhook else []
        if claim:
            more["claim"] = claim.describe(batch[0] if batch else jobs[0].id, jobs[0].created_at or now, jobs[0].due_at)
        if jobs[0].unique:
            more["unique"] = {"replace": jobs[0].unique[1]}
        if holder:
            more["bodies"] = describe_bodies(jobs, holder)
        args: list[str | bytes | int] = [int(now.timestamp()), utcformat(now), ttl_seconds, json.dumps(more)]
        for _, alike in groupby(jobs, NewJob.list_shared):
            group = list(alike)
            created_at = group[0].created_at or now
            created_us = round(created_at.timestamp() * 1_000_000)
            args += [self._describe_shared(group[0], created_at), utcformat(created_at), created_us, len(group)]
            for job in group:
                args += [pack_payload(job.type, job.payload), _draw_waits(job)]
        return args

    def _describe_shared(self, job: NewJob, created_at: datetime) -> str:
        """Return, as JSON, what a job shares with others that are alike."""
        if any(job.options):
            return json.dumps(self._describe(job, job.find_expiry(created_at)))
        return self._plain[job.type.type]

    def _describe(self, job: NewJob, expires_at: float | None) -> dict[str, Any]:
        """Return the hash that RQ's `Queue.create_job` would save, less what is a job's own or the script decides."""
        built = self._queues[job.type.queue.name].create_job(
            job.type.path,
            timeout=job.timeout_seconds or job.type.timeout_seconds,
            result_ttl=self._settings.result_ttl_seconds,
            failure_ttl=self._settings.failure_ttl_seconds,
            description=job.type.type,
            retry=Retry(retries) if (retries := job.retry.retries) else None,
            depends_on=_describe_parents(job),
            rate_limit=RateLimit(*job.limit) if job.limit else None,
        )
        if job.at_front:
            built.enqueue_at_front = True
        fields = built.to_dict() | _describe_own(job) | _describe_expiry(job, expires_at)
        shared = [str(part) for pair in fields.items() if pair[0] not in OWN for part in pair]
        described: dict[str, Any] = {"queue": job.type.queue.name, "type": job.type.type, "fields": shared}
        described |= {"after": job.after, "on_failure": job.on_failure, "front": job.at_front, "tags": job.tags}
        if job.limit:
            described |= {"limit": job.limit}
        if expires_at is not None:
            described |= {"expires_ms": round(expires_at * 1000)}
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
        "errand_backoff": job.retry.policy,
        "errand_webhook": None if job.batch else job.webhook,  # a batch has one for all of it
    }
    return {name: value for name, value in own.items() if value}


def _describe_expiry(job: NewJob, expires_at: float | None) -> dict[str, str]:
    """Return the fields of a job that expires: when, and whether it must have ended by then, not only started."""
    if expires_at is None:
        return {}
    more = {"errand_expires_by": job.type.options.expires} if job.type.options.expires == "end" else {}
    return {"errand_expires_at": write_expiry(expires_at), **more}


def pack_payload(type: Job[..., Any], payload: dict[str, Any]) -> bytes:
    """Return a job's function and arguments as RQ's `Job.data` has them, in a window of 4 KB.

    To set up zlib's usual 32 KB takes ten times as long as to pack a payload of ordinary size.
    """
    packer = zlib.compressobj(wbits=12, memLevel=5)
    return packer.compress(JSONSerializer.dumps((type.path, None, (), payload))) + packer.flush()


def _draw_waits(job: NewJob) -> str:
    waits = job.retry.draw_seconds()
    return json.dumps(waits) if waits else ""


def offline_queue(name: str) -> Queue:
    """Return a queue that builds jobs' fields and sends nothing."""
    queue = Queue(name, connection=_NoConnection(), serializer="json")  # type: ignore[arg-type]
    queue.redis_server_version = (7, 0, 0)  # spares RQ an INFO
    return queue


class _NoConnection:
    """Stands where RQ wants a client; a command on it is a mistake and raises AttributeError."""
