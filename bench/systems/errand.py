"""Errand: the project as it lies here."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from redis import Redis

from errand import load_jobs
from errand.redis.connection import connect as connect_redis
from errand.store.enqueue import Enqueuer
from errand.store.new_job import NewJob
from errand.store.settings import QueueSettings

THREADS = {"noop": "48", "nap": "64", "stamp": "16"}
BATCH = 100
SETTINGS = (
    "rq worker -c worker -w worker.Worker -q, all promises on; WORKER_THREADS 48 for no-op jobs, 64 for sleeping ones, "
    "else 16, its default"
)


class Client:
    """The enqueuing side: what the API stores jobs with."""

    def __init__(self, url: str) -> None:
        self._types = load_jobs()
        self._redis = connect_redis(url)
        self._enqueuer = Enqueuer(self._redis, QueueSettings(REDIS_URL=url), self._types)

    async def enqueue(self, job: str, *args: Any) -> None:
        """Store one job."""
        await self._enqueuer.store([self._build(job, args)])

    async def enqueue_many(self, job: str, many: list[tuple]) -> None:
        """Store many, a hundred a call."""
        for start in range(0, len(many), BATCH):
            await self._enqueuer.store([self._build(job, args) for args in many[start : start + BATCH]])

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _build(self, job: str, args: tuple) -> NewJob:
        payload = {"sent": args[0]} if job == "stamp" else {"message": args[0]} if args else {}
        return NewJob(self._types[job], payload)


async def connect(url: str) -> Client:
    """Return a client."""
    await asyncio.sleep(0)
    return Client(url)


def build_command(job: str) -> list[str]:
    """Return the worker's command."""
    rq = Path(sys.executable).with_name("rq")
    threads = os.environ.get("WORKER_THREADS", THREADS[job])
    return ["env", f"WORKER_THREADS={threads}", str(rq), "worker", "-c", "worker", "-w", "worker.Worker", "-q"]


def count_ended(redis: Redis, enqueued: int) -> int:
    """Count jobs whose record and result are stored: one script does it all."""
    return redis.zcard("rq:finished:default")
