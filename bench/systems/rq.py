# /// script
# dependencies = ["rq", "hiredis", "fastapi", "uvicorn", "uvloop", "httptools", "email-validator", "jinja2"]
# ///
"""RQ with its SimpleWorker, which does not fork."""

import os
import time
from typing import Any

from redis import Redis
from rq import Queue

from bench.peer import BlockingClient, note_wait

SETTINGS = "rq worker --worker-class rq.SimpleWorker --quiet, hiredis, results kept 500 s, bulk: Queue.enqueue_many"


def noop() -> int:
    """Do nothing."""
    return 1


def nap() -> int:
    """Wait 5 ms."""
    time.sleep(0.005)
    return 1


def stamp(sent: float) -> int:
    """Note how long it waited."""
    return note_wait(sent)


def email(message: dict) -> int:
    """Stand for one that sends."""
    return 1


class Client(BlockingClient):
    """The enqueuing side."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url)
        self._queue = Queue("default", connection=self._redis)

    def enqueue_now(self, job: str, *args: Any) -> None:
        """Store one job; blocks."""
        self._queue.enqueue(f"bench.systems.rq.{job}", *args)

    def enqueue_many_now(self, job: str, many: list[tuple]) -> None:
        """Store many in one pipeline; blocks."""
        self._queue.enqueue_many([Queue.prepare_data(f"bench.systems.rq.{job}", args) for args in many])

    async def aclose(self) -> None:
        """Close the connections."""
        self._redis.close()


async def connect(url: str) -> Client:
    """Return a client."""
    return Client(url)


def build_command(job: str) -> list[str]:
    """Return the worker's command."""
    return ["rq", "worker", "-u", os.environ["REDIS_URL"], "--worker-class", "rq.SimpleWorker", "--quiet", "default"]


def count_ended(redis: Redis, enqueued: int) -> int:
    """Count jobs with record and result: one pipeline stores both and the registry's entry."""
    return redis.zcard("rq:finished:default")
