# /// script
# dependencies = [
#     "dramatiq[redis]", "hiredis", "fastapi", "uvicorn", "uvloop", "httptools", "email-validator", "jinja2",
# ]
# ///
"""Dramatiq over Redis, results in Redis too."""

import os
import time
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from redis import Redis

from bench.peer import BlockingClient, note_wait

# Threads, and how many messages are fetched at once; by default twice the threads, and then it sleeps between fetches.
THREADS = {"noop": (4, 100), "nap": (64, 300), "stamp": (4, 100)}
SETTINGS = (
    "one process, 4 threads, 100 messages prefetched (64 and 300 for sleeping jobs), hiredis, results kept 10 min, "
    "bulk: a loop of send (it has none)"
)

broker = RedisBroker(url=os.environ["REDIS_URL"])
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["REDIS_URL"]), store_results=True))
dramatiq.set_broker(broker)


@dramatiq.actor
def noop() -> int:
    """Do nothing."""
    return 1


@dramatiq.actor
def nap() -> int:
    """Wait 5 ms."""
    time.sleep(0.005)
    return 1


@dramatiq.actor
def stamp(sent: float) -> int:
    """Note how long it waited."""
    return note_wait(sent)


@dramatiq.actor
def email(message: dict) -> int:
    """Stand for one that sends."""
    return 1


class Client(BlockingClient):
    """The enqueuing side."""

    def enqueue_now(self, job: str, *args: Any) -> None:
        """Store one job; blocks."""
        broker.get_actor(job).send(*args)

    def enqueue_many_now(self, job: str, many: list[tuple]) -> None:
        """Store many; blocks."""
        actor = broker.get_actor(job)
        for args in many:
            actor.send(*args)

    async def aclose(self) -> None:
        """Close the connections."""
        broker.close()


async def connect(url: str) -> Client:
    """Return a client."""
    return Client()


def build_command(job: str) -> list[str]:
    """Return the worker's command."""
    threads, prefetch = THREADS[job]
    command = ["env", f"dramatiq_queue_prefetch={prefetch}", "dramatiq", "bench.systems.dramatiq"]
    return [*command, "-p", "1", "-t", str(threads), "--skip-logging"]


def count_ended(redis: Redis, enqueued: int) -> int:
    """Count acknowledged messages, which happens after the result is stored."""
    return enqueued - redis.hlen("dramatiq:default.msgs")
