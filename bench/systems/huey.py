# /// script
# dependencies = ["huey", "redis", "hiredis", "fastapi", "uvicorn", "uvloop", "httptools", "email-validator", "jinja2"]
# ///
"""Huey over Redis."""

import os
import time
from typing import Any

from huey import RedisHuey
from redis import Redis

from bench.peer import BlockingClient, note_wait

THREADS = {"noop": 4, "nap": 32, "stamp": 4}
SETTINGS = (
    "RedisHuey, blocking pop, hiredis, 4 threads (32 for sleeping jobs), results kept until read, "
    "no periodic tasks, bulk: a loop of calls (it has none)"
)

huey = RedisHuey("bench", url=os.environ["REDIS_URL"])


@huey.task()
def noop() -> int:
    """Do nothing."""
    return 1


@huey.task()
def nap() -> int:
    """Wait 5 ms."""
    time.sleep(0.005)
    return 1


@huey.task()
def stamp(sent: float) -> int:
    """Note how long it waited."""
    return note_wait(sent)


@huey.task()
def email(message: dict) -> int:
    """Stand for one that sends."""
    return 1


TASKS = {"noop": noop, "nap": nap, "stamp": stamp, "email": email}


class Client(BlockingClient):
    """The enqueuing side."""

    def enqueue_now(self, job: str, *args: Any) -> None:
        """Store one job; blocks."""
        TASKS[job](*args)

    def enqueue_many_now(self, job: str, many: list[tuple]) -> None:
        """Store many; blocks."""
        for args in many:
            TASKS[job](*args)

    async def aclose(self) -> None:
        """Close the connections."""
        huey.storage.conn.close()


async def connect(url: str) -> Client:
    """Return a client."""
    return Client()


def build_command(job: str) -> list[str]:
    """Return the worker's command."""
    command = ["huey_consumer", "bench.systems.huey.huey", "-k", "thread", "-w", str(THREADS[job])]
    return [*command, "-q", "-n", "-d", "0.01", "-m", "0.05"]


def count_ended(redis: Redis, enqueued: int) -> int:
    """Count results."""
    return redis.hlen("huey.results.bench")
