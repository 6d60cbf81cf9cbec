"""Log lines that one worker with its defaults (16 threads) writes to a file, in jobs of 100 lines and of one.

All jobs are stored before the worker starts. The clock runs from the first job's start to the last one's end, as their
records say. A line has 80 characters of text, a level and two attributes.
"""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

from redis import Redis

from bench.figure import Bar, Result
from bench.queued import store
from bench.rows.mail import wait
from bench.server import start_server
from bench.system import WORKER, System
from errand import load_jobs

NAME = "log"
TITLE = "Log lines to a file, one worker"
SYSTEMS = ("errand",)
BARS = [Bar("100 lines a job", 20_000, against="")]
LOG = load_jobs()["log"]
LINE = {"text": "x" * 80, "level": "warning", "attributes": {"order": 10482, "customer": "ada@example.com"}}
HUNDRED: dict[str, Any] = {"lines": [LINE] * 100}
JOBS = {"100 lines a job": (HUNDRED, 100, 1_000), "one line a job": (LINE, 1, 10_000)}


def measure(system: System) -> list[Result]:
    """Return lines/s."""
    return [Result(figure, write(system, *jobs), "lines/s") for figure, jobs in JOBS.items()]


def write(system: System, payload: dict[str, Any], lines: int, count: int) -> float:
    """Return the rate at which one worker writes the lines of `count` jobs. Raises ValueError where one is missing."""
    path = system.home / "lines.jsonl"
    path.unlink(missing_ok=True)
    with start_server() as server, server.connect() as redis:
        asyncio.run(store(server.url, LOG, payload, count))
        command = [str(system.python), *WORKER]
        with system.start(server, command, LOG_URL=f"file:{path}?rotate=1GB"):
            wait(lambda: redis.zcard("rq:finished:log") >= count)
        seconds = read_seconds(redis)
    return check_lines(path, lines * count) / seconds


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
