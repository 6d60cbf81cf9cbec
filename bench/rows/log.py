"""Log lines that one worker with its defaults (16 threads) writes to a file, in jobs of 100 lines and of one.

All jobs are stored before the worker starts. The clock runs from the first job's start to the last one's end, as their
records say. A line has 80 characters of text, a level and two attributes.
"""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

from redis import Redis

from bench.context import Context
from bench.figure import Bar, Result
from bench.rows.mail import WORKER, wait_until
from errand import load_jobs
from errand.redis.connection import connect
from errand.store.enqueue import Enqueuer
from errand.store.new_job import NewJob
from errand.store.settings import QueueSettings

NAME = "log"
TITLE = "Log lines to a file, one worker"
SYSTEMS = ("errand",)
BARS = [Bar("100 lines a job", 20_000, against="")]
LOG = load_jobs()["log"]
LINE = {"text": "x" * 80, "level": "warning", "attributes": {"order": 10482, "customer": "ada@example.com"}}
HUNDRED: dict[str, Any] = {"lines": [LINE] * 100}
JOBS = {"100 lines a job": (HUNDRED, 100, 1_000), "one line a job": (LINE, 1, 10_000)}
AT_ONCE = 100


def measure(context: Context) -> list[Result]:
    """Return lines/s."""
    return [Result(figure, write(context, *jobs), "lines/s") for figure, jobs in JOBS.items()]


def write(context: Context, payload: dict[str, Any], lines: int, count: int) -> float:
    """Return the rate at which one worker writes the lines of `count` jobs. Raises ValueError where one is missing."""
    path = context.system.home / "lines.jsonl"
    path.unlink(missing_ok=True)
    with context.start_server() as server, server.connect() as redis:
        asyncio.run(store(server.url, payload, count))
        command = [str(context.system.python), *WORKER]
        with context.system.start(server, command, LOG_URL=f"file:{path}?rotate=1GB"):
            wait_until(lambda: redis.zcard("rq:finished:log") >= count)
        seconds = read_seconds(redis)
    return check_lines(path, lines * count) / seconds


async def store(url: str, payload: dict[str, Any], count: int) -> None:
    """Store jobs as a batch request does."""
    redis = connect(url)
    enqueuer = Enqueuer(redis, QueueSettings(REDIS_URL=url), {LOG.type: LOG})
    for _ in range(0, count, AT_ONCE):
        await enqueuer.store([NewJob(LOG, payload) for _ in range(AT_ONCE)])
    await redis.aclose()


def read_seconds(redis: Redis) -> float:
    """Return the time from the first start to the last end."""
    with redis.pipeline() as pipeline:
        for id in redis.zrange("rq:finished:log", 0, -1):
            pipeline.hmget(b"rq:job:" + id, "started_at", "ended_at")
        times = pipeline.execute()
    started, ended = (min(one[0] for one in times), max(one[1] for one in times))
    return (datetime.fromisoformat(ended.decode()) - datetime.fromisoformat(started.decode())).total_seconds()


def check_lines(path: Path, count: int) -> int:
    """Return how many lines there are. Raises ValueError where they are not all there."""
    with path.open("rb") as lines:
        found = sum(1 for _ in lines)
    if found != count:
        raise ValueError(f"{path.name} has {found} lines; {count} were written")
    return found
