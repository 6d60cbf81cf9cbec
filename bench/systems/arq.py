# /// script
# dependencies = ["arq", "fastapi", "uvicorn", "uvloop", "httptools", "email-validator", "jinja2"]
# ///
"""arq: one asyncio process, a sorted set for a queue."""

import asyncio
import os
import sys
from typing import Any

import uvloop
from arq import create_pool, run_worker
from arq.connections import ArqRedis, RedisSettings
from redis import Redis

from bench.peer import note_wait

CONNECTIONS = 32
CONCURRENCY = {"noop": 16, "nap": 64, "stamp": 16}
SETTINGS = "uvloop, max_jobs 16 (64 for sleeping jobs), poll_delay 10 ms, results kept 1 h, bulk: gathered enqueue_job"


async def noop(context: dict) -> int:
    """Do nothing."""
    return 1


async def nap(context: dict) -> int:
    """Wait 5 ms."""
    await asyncio.sleep(0.005)
    return 1


async def stamp(context: dict, sent: float) -> int:
    """Note how long it waited."""
    return note_wait(sent)


async def email(context: dict, message: dict) -> int:
    """Stand for one that sends."""
    return 1


class Client:
    """The enqueuing side."""

    def __init__(self, pool: ArqRedis) -> None:
        self._pool = pool

    async def enqueue(self, job: str, *args: Any) -> None:
        """Store one job."""
        await self._pool.enqueue_job(job, *args)

    async def enqueue_many(self, job: str, many: list[tuple]) -> None:
        """Store many; there is no bulk call, and its pool has a set number of connections."""
        free = asyncio.Semaphore(CONNECTIONS)

        async def store(args: tuple) -> None:
            async with free:
                await self._pool.enqueue_job(job, *args)

        await asyncio.gather(*(store(args) for args in many))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


async def connect(url: str) -> Client:
    """Return a client with a pool that is open."""
    settings = RedisSettings.from_dsn(url)
    settings.max_connections = 2 * CONNECTIONS
    return Client(await create_pool(settings))


def build_command(job: str) -> list[str]:
    """Return the worker's command."""
    return [sys.executable, "-m", "bench.systems.arq", str(CONCURRENCY[job])]


def count_ended(redis: Redis, enqueued: int) -> int:
    """Count jobs with a result: the same MULTI stores it and takes the job off the queue."""
    return enqueued - redis.zcard("arq:queue")


class WorkerSettings:
    """The worker's settings."""

    functions = (noop, nap, stamp, email)
    poll_delay = 0.01


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.set_event_loop(asyncio.new_event_loop())
    run_worker(
        WorkerSettings, max_jobs=int(sys.argv[1]), redis_settings=RedisSettings.from_dsn(os.environ["REDIS_URL"])
    )
