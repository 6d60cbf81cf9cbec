"""1,000 e-mails to a server that takes 50 ms over each, one worker with its defaults (16 threads, 8 connections).

The worker and its connections are warm. The clock runs from just before the mails are enqueued until the last one's
record says that it has finished; the least possible time is 1,000 × 50 ms / 8. Then the same with a server that ends
each connection about its 20th mail, by turns in four ways, and all of them in a pause half-way.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis

from bench.figure import Bar, Result
from bench.server import Server, start_server
from bench.system import WORKER, System
from bench.systems.errand import connect
from bench.waiting import wait_until

NAME = "mail"
TITLE = "1,000 e-mails to a server with 50 ms a conversation, one worker"
SYSTEMS = ("errand",)
MAILS, WARM_UP = 1_000, 50
SECONDS_EACH, CONNECTIONS = 0.05, 8
LEAST_SECONDS = MAILS * SECONDS_EACH / CONNECTIONS
BARS = [
    Bar("times the least", 1.15, against="", at_most=True),
    Bar("most connections", CONNECTIONS, against="", at_most=True),
    Bar("mails taken once", 2 * MAILS, against=""),
]
ENDING = ("--drop-after", "20", "--drop-idle", "0.3")
WAIT_SECONDS = 60.0  # nearly ten times the least
LOOK_SECONDS = 0.005  # a look is late by as much, of 6 seconds and more
SINK = Path(__file__).parent.parent / "sink.py"


class Sink:
    """The mail server, a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.url = f"smtp://127.0.0.1:{int(self._read())}"

    def look(self) -> dict[str, int]:
        """Return what it has seen so far."""
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        seen: dict[str, int] = json.loads(self._read())
        return seen

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def measure(system: System) -> list[Result]:
    """Return the time with a server that keeps its connections and with one that ends them, and what both have seen."""
    kept_seconds, kept = send(system, waves=1)
    ended_seconds, ended = send(system, ENDING, waves=2)
    return [
        Result("times the least", kept_seconds / LEAST_SECONDS, "×"),
        Result("seconds", kept_seconds, "s"),
        Result("connections", kept["connections"], "connections"),
        Result("most connections", max(kept["most_at_once"], ended["most_at_once"]), "at once"),
        Result("mails taken once", kept["once"] + ended["once"], "mails"),
        Result("seconds, connections ended", ended_seconds, "s"),
        Result("connections that the server ended", ended["dropped"], "connections"),
    ]


def send(system: System, options: tuple[str, ...] = (), waves: int = 1) -> tuple[float, dict[str, int]]:
    """Send the mails and return the seconds that it took, pauses left out, and what the server has seen of them.

    Raises ValueError where a mail took more than one attempt.
    """
    with start_server() as server, run_sink(*options) as sink:
        command = [str(system.python), *WORKER]
        with system.start(server, command, SMTP_URL=sink.url), server.connect() as redis:
            post_and_wait(server, redis, WARM_UP)
            before, seconds = sink.look(), 0.0
            for wave in range(1, waves + 1):
                seconds += post_and_wait(server, redis, MAILS // waves, WARM_UP + MAILS * wave // waves)
                if wave < waves:
                    wait(lambda: not sink.look()["open"])
            check_attempts(redis)
            seen = sink.look()
    return seconds, seen | {name: seen[name] - before[name] for name in ("mails", "once", "dropped")}


@contextmanager
def run_sink(*options: str) -> Iterator[Sink]:
    """Run the mail server until the block ends."""
    command = [sys.executable, str(SINK), "--seconds", str(SECONDS_EACH), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Sink(process)
        finally:
            process.kill()


def post_and_wait(server: Server, redis: Redis, count: int, total: int = 0) -> float:
    """Enqueue mails and return the seconds until `total`, by default as many, have finished."""

    async def post() -> None:
        client = await connect(server.url)
        message: dict[str, Any] = {"to": ["ada@example.com"], "subject": "Hello", "text": "It works. " * 20}
        await client.enqueue_many("email", [(message,)] * count)
        await client.aclose()

    began = time.perf_counter()
    asyncio.run(post())
    wait(lambda: redis.zcard("rq:finished:email") >= (total or count))
    return time.perf_counter() - began


def check_attempts(redis: Redis) -> None:
    """Raise ValueError where a job was tried again."""
    keys = [f"rq:job:{id.decode()}" for id in redis.zrange("rq:finished:email", 0, -1)]
    with redis.pipeline() as pipeline:
        for key in keys:
            pipeline.hget(key, "errand_attempts")
        more = sum(attempts != b"1" for attempts in pipeline.execute())
    if more:
        raise ValueError(f"{more} of {len(keys)} mails took more than one attempt; each must take one")


def wait(condition: Callable[[], object]) -> None:
    """Return when it is so. Raises TimeoutError."""
    wait_until(condition, "the jobs have not ended", WAIT_SECONDS, LOOK_SECONDS)
