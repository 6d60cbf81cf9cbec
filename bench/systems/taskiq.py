# /// script
# dependencies = [
#     "taskiq", "taskiq-redis", "hiredis", "fastapi", "uvicorn", "uvloop", "httptools", "email-validator", "jinja2",
# ]
# ///
"""taskiq over Redis streams, results in Redis too."""

import asyncio
import os
from typing import Any

from redis import Redis
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from bench.peer import STAMPS, note_wait

CONCURRENCY = {"noop": 100, "nap": 100, "stamp": 100}
SETTINGS = (
    "one process, RedisStreamBroker and RedisAsyncResultBackend, uvloop, hiredis, 100 tasks at once, --no-parse, "
    "results kept for ever, acknowledged when saved, both as by default, bulk: gathered kiq"
)

broker = RedisStreamBroker(os.environ["REDIS_URL"], consumer_id="0").with_result_backend(
    RedisAsyncResultBackend(os.environ["REDIS_URL"])
)


@broker.task("noop")
async def noop() -> int:
    """Do nothing."""
    return 1


@broker.task("nap")
async def nap() -> int:
    """Wait 5 ms."""
    await asyncio.sleep(0.005)
    return 1


@broker.task("stamp")
async def stamp(sent: float) -> int:
    """Note how long it waited."""
    return note_wait(sent)


@broker.task("email")
async def email(message: dict) -> int:
    """Stand for one that sends."""
    return 1


TASKS = {"noop": noop, "nap": nap, "stamp": stamp, "email": email}


class Client:
    """The enqueuing side."""

    async def enqueue(self, job: str, *args: Any) -> None:
        """Store one job."""
        await TASKS[job].kiq(*args)

    async def enqueue_many(self, job: str, many: list[tuple]) -> None:
        """Store many; there is no bulk call."""
        limit = asyncio.Semaphore(32)

        async def store(args: tuple) -> None:
            async with limit:
                await TASKS[job].kiq(*args)

        await asyncio.gather(*(store(args) for args in many))

    async def aclose(self) -> None:
        """Close the connections."""
        await broker.shutdown()


async def connect(url: str) -> Client:
    """Return a client."""
    await broker.startup()
    return Client()


def build_command(job: str) -> list[str]:
    """Return the worker's command."""
    options = ["--max-async-tasks", str(CONCURRENCY[job]), "--no-parse", "--log-level", "ERROR"]
    return ["taskiq", "worker", "bench.systems.taskiq:broker", "-w", "1", *options]


def count_ended(redis: Redis, enqueued: int) -> int:
    """Count results: each is a key, and all other keys are known."""
    return redis.dbsize() - redis.exists("taskiq", "autoclaim:taskiq:taskiq", STAMPS)
