"""`python -m bench.agent SYSTEM COMMAND …`: what runs inside a system's own environment; prints its answer as JSON."""

import asyncio
import importlib
import json
import os
import random
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from redis import Redis

from bench.peer import STAMPS

URL = "REDIS_URL"
CHUNK = 1_000  # jobs that are handed to a client at once: no system has to hold them all
LOOK_SECONDS = 0.01  # between two counts of what has ended: one cheap command, and a hundredth of a second's error
STUCK_SECONDS = 60.0  # in which not one job has ended: the slowest system ends hundreds
PAUSE_SECONDS = (0.01, 0.06)  # between two jobs of an idle worker


def work(system: ModuleType, job: str) -> None:
    """Become the worker, at its best setting for `job`."""
    command = system.build_command(job)
    os.execvp(command[0], command)  # noqa: S606


def enqueue(system: ModuleType, job: str, count: str) -> dict[str, float]:
    """Store `count` jobs by the system's call for many."""

    async def run() -> float:
        client = await system.connect(os.environ[URL])
        began = time.perf_counter()
        for start in range(0, int(count), CHUNK):
            await client.enqueue_many(job, [()] * min(CHUNK, int(count) - start))
        seconds = time.perf_counter() - began
        await client.aclose()
        return seconds

    return {"seconds": asyncio.run(run())}


def watch(system: ModuleType, count: str, first: str = "0") -> dict[str, float]:
    """Wait until `count` jobs have ended; return how many ended in how many seconds since at least `first` had."""
    redis, all, opened = Redis.from_url(os.environ[URL]), int(count), None
    ended, moved_at = 0, time.monotonic()
    while True:
        before, ended, now = ended, system.count_ended(redis, all), time.monotonic()
        if ended != before:
            moved_at = now
        if opened is None and ended >= max(1, int(first)):
            opened = (ended, now)
        if opened and ended >= all:
            return {"jobs": ended - opened[0], "seconds": now - opened[1]}
        if now - moved_at > STUCK_SECONDS:
            raise TimeoutError(f"{ended} of {all} jobs have ended and no other did in {STUCK_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)


def stamp(system: ModuleType, count: str) -> dict[str, list[float]]:
    """Send `count` jobs that note when they start, each to an idle worker; return the seconds that each waited."""

    async def run() -> list[float]:
        redis, draw = Redis.from_url(os.environ[URL]), random.Random(1)
        client = await system.connect(os.environ[URL])
        waits = []
        for _ in range(int(count)):
            await client.enqueue("stamp", time.time())
            _, text = await asyncio.to_thread(redis.blpop, STAMPS, STUCK_SECONDS)
            waits.append(float(text))
            await asyncio.sleep(draw.uniform(*PAUSE_SECONDS))  # drawn, so that it meets no rhythm of a poll
        await client.aclose()
        return waits

    return {"seconds": asyncio.run(run())}


COMMANDS: dict[str, Callable[..., Any]] = {"worker": work, "enqueue": enqueue, "watch": watch, "stamp": stamp}


def main() -> None:
    """Run one command."""
    name, command, *arguments = sys.argv[1:]
    system = importlib.import_module(f"bench.systems.{name}")
    print(json.dumps(COMMANDS[command](system, *arguments)))


if __name__ == "__main__":
    main()
