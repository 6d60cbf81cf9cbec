# /// script
# dependencies = ["celery[redis]", "hiredis", "fastapi", "uvicorn", "uvloop", "httptools", "email-validator", "jinja2"]
# ///
"""Celery over Redis, results in Redis too."""

import os
import time
from typing import Any

from celery import Celery
from redis import Redis

from bench.peer import BlockingClient, note_wait

POOLS = {"noop": ("solo", 1), "nap": ("threads", 32), "stamp": ("solo", 1)}
SETTINGS = (
    "pool solo (32 threads for sleeping jobs; gevent was slower), prefetch multiplier 64, no gossip, mingle, heartbeat "
    "or rate limits, hiredis, results kept 1 day, acknowledged early as by default, bulk: a loop (it has none)"
)
OWN_KEYS = (
    "celery",
    "unacked",
    "unacked_index",
    "unacked_mutex",
    "_kombu.binding.celery",
    "_kombu.binding.celeryev",
    "_kombu.binding.celery.pidbox",
)

app = Celery("bench", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.update(worker_prefetch_multiplier=64, worker_disable_rate_limits=True, broker_connection_retry_on_startup=True)


@app.task(name="noop")
def noop() -> int:
    """Do nothing."""
    return 1


@app.task(name="nap")
def nap() -> int:
    """Wait 5 ms."""
    time.sleep(0.005)
    return 1


@app.task(name="stamp")
def stamp(sent: float) -> int:
    """Note how long it waited."""
    return note_wait(sent)


@app.task(name="email")
def email(message: dict) -> int:
    """Stand for one that sends."""
    return 1


class Client(BlockingClient):
    """The enqueuing side."""

    def enqueue_now(self, job: str, *args: Any) -> None:
        """Store one job; blocks."""
        app.tasks[job].apply_async(args)

    def enqueue_many_now(self, job: str, many: list[tuple]) -> None:
        """Store many; blocks."""
        task = app.tasks[job]
        with app.producer_pool.acquire(block=True) as producer:
            for args in many:
                task.apply_async(args, producer=producer)

    async def aclose(self) -> None:
        """Close the connections."""
        app.close()


async def connect(url: str) -> Client:
    """Return a client."""
    return Client()


def build_command(job: str) -> list[str]:
    """Return the worker's command."""
    pool, concurrency = POOLS[job]
    command = ["celery", "-q", "-A", "bench.systems.celery", "worker", "-P", pool, "-c", str(concurrency)]
    command += ["-l", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    return [*command, "-n", f"{os.getpid()}@%h"]  # two of one name would share a mailbox


def count_ended(redis: Redis, enqueued: int) -> int:
    """Count results: each is a key, and all other keys are known."""
    return redis.dbsize() - redis.exists(*OWN_KEYS)
