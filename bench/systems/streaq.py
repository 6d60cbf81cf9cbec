# /// script
# dependencies = ["streaq", "redis", "fastapi", "uvicorn", "uvloop", "httptools", "email-validator", "jinja2"]
# ///
"""streaq: one asyncio process over Redis streams."""

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from typing import Any

from redis import Redis
from streaq import Worker

from bench.peer import note_wait

CONCURRENCY = {"noop": 32, "nap": 64, "stamp": 16}
SETTINGS = "uvloop, concurrency 32 (64 for sleeping jobs), results kept 5 min, silent tasks, bulk: enqueue_many"

worker = Worker(
    redis_url=os.environ["REDIS_URL"],
    concurrency=int(os.environ.get("CONCURRENCY", "16")),
    anyio_kwargs={"use_uvloop": True},
)


@worker.task(silent=True)
async def noop() -> int:
    """Do nothing."""
    return 1


@worker.task(silent=True)
async def nap() -> int:
    """Wait 5 ms."""
    await asyncio.sleep(0.005)
    return 1


@worker.task(silent=True)
async def stamp(sent: float) -> int:
    """Note how long it waited."""
    return note_wait(sent)


@worker.task(silent=True)
async def email(message: dict) -> int:
    """Stand for one that sends."""
    return 1


TASKS = {"noop": noop, "nap": nap, "stamp": stamp, "email": email}


class Client:
    """The enqueuing side."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def enqueue(self, job: str, *args: Any) -> None:
        """Store one job."""
        await TASKS[job].enqueue(*args)

    async def enqueue_many(self, job: str, many: list[tuple]) -> None:
        """Store many in one pipeline."""
        await worker.enqueue_many([TASKS[job].enqueue(*args) for args in many])

    async def aclose(self) -> None:
        """Close the connections."""
        await self._stack.aclose()


async def connect(url: str) -> Client:
    """Return a client with open connections; close it in the task that opened it."""
    stack = AsyncExitStack()
    await stack.enter_async_context(worker)
    return Client(stack)


def build_command(job: str) -> list[str]:
    """Return the worker's command."""
    return ["env", f"CONCURRENCY={CONCURRENCY[job]}", sys.executable, "-m", "bench.systems.streaq"]


def count_ended(redis: Redis, enqueued: int) -> int:
    """Count results: one MULTI stores each and its place in this index."""
    return redis.zcard("streaq:default:index:results")


if __name__ == "__main__":
    worker.run_sync()
