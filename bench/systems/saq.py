# /// script
# dependencies = ["saq[hiredis]", "fastapi", "uvicorn", "uvloop", "httptools", "email-validator", "jinja2"]
# ///
"""SAQ: one asyncio process over Redis."""

import asyncio
import os
import sys
from typing import Any

import uvloop
from redis import Redis
from saq import Queue
from saq.worker import start

from bench.peer import note_wait

CONCURRENCY = {"noop": 16, "nap": 32, "stamp": 16}
SETTINGS = "uvloop, hiredis, concurrency 16 (32 for sleeping jobs), results kept 10 min, bulk: gathered enqueue"


async def noop(context: dict) -> int:
    """Do nothing."""
    return 1


async def nap(context: dict) -> int:
    """Wait 5 ms."""
    await asyncio.sleep(0.005)
    return 1


async def stamp(context: dict, *, sent: float) -> int:
    """Note how long it waited."""
    return note_wait(sent)


async def email(context: dict, *, message: dict) -> int:
    """Stand for one that sends."""
    return 1


class Client:
    """The enqueuing side."""

    def __init__(self, url: str) -> None:
        self._queue = Queue.from_url(url)

    async def enqueue(self, job: str, *args: Any) -> None:
        """Store one job; SAQ knows arguments by name only."""
        await self._queue.enqueue(job, **_name(job, args))

    async def enqueue_many(self, job: str, many: list[tuple]) -> None:
        """Store many; its `batch` waits for the jobs, so this is a gather."""
        await asyncio.gather(*(self._queue.enqueue(job, **_name(job, args)) for args in many))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._queue.disconnect()


def _name(job: str, args: tuple) -> dict[str, Any]:
    return dict(zip({"stamp": ("sent",), "email": ("message",)}.get(job, ()), args, strict=True))


async def connect(url: str) -> Client:
    """Return a client."""
    return Client(url)


def build_command(job: str) -> list[str]:
    """Return the worker's command."""
    return [sys.executable, "-m", "bench.systems.saq", str(CONCURRENCY[job])]


def count_ended(redis: Redis, enqueued: int) -> int:
    """Count jobs with a result: one MULTI stores it and takes the job off this set."""
    return enqueued - redis.zcard("saq:default:incomplete")


settings = {"functions": [noop, nap, stamp, email]}

if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    settings |= {"queue": Queue.from_url(os.environ["REDIS_URL"]), "concurrency": int(sys.argv[1])}
    start("__main__.settings")
