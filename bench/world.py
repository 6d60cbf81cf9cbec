"""A server with what Errand stores and reads with, as `bench.longest` measures them."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from redis import Redis

from bench.queued import PAYLOAD
from errand.api.store import Store
from errand.contract.job import Job
from errand.store.new_job import NewJob
from errand.worker.execution import Execution
from errand.worker.records import Records
from errand.worker.report import Report
from errand.worker.served import ServedQueues

THREADS = 64  # of a worker that has many, so jobs of one call
QUEUE = "email"
Act = Callable[[], Awaitable[Any]]


@dataclass(frozen=True)
class World:
    """A server, without being measured and with; the API's store and a worker's records, which are measured."""

    redis: Redis
    measured: Redis
    store: Store
    records: Records
    type: Job[..., Any]

    def new(self, **options: Any) -> NewJob:
        """Return a job that is not stored yet."""
        return NewJob(self.type, PAYLOAD, **options)

    async def store_jobs(self, count: int, most: int = 200, **options: Any) -> list[str]:
        """Store jobs; return their ids."""
        ids: list[str] = []
        for first in range(0, count, most):
            jobs = [self.new(**options) for _ in range(min(most, count - first))]
            await self.store.enqueuer.store(jobs)
            ids += [job.id for job in jobs]
        return ids

    async def store_batch(self, count: int, **options: Any) -> str:
        """Store a batch; return its id."""
        batch = str(uuid4())
        await self.store.enqueuer.store([self.new(batch=batch, **options) for _ in range(count)], (batch, "email"))
        return batch

    def end(self, count: int, kind: str = "permanent") -> None:
        """Let as many queued jobs end so, whichever come first."""
        while count > 0:
            executions = self.take(min(count, THREADS))
            assert executions, f"{count} more should be queued"
            self.records.exchange([write(kind, execution) for execution in executions])
            count -= len(executions)

    def take(self, count: int = THREADS) -> list[Execution]:
        """Take jobs."""
        return self.records.exchange([], [uuid4().hex for _ in range(count)], ServedQueues([QUEUE], False)).executions


@dataclass(frozen=True)
class Scene:
    """A script, at which limit, and what prepares the calls that are measured."""

    name: str
    at: str
    prepare: Callable[[World], Awaitable[Act]]
    is_batch: bool = False


def write(kind: str, execution: Execution) -> Report:
    """Return the report of an end."""
    return Report(kind, execution, "", '{"type": "ValueError", "message": "no"}', 0.0, time.time())
