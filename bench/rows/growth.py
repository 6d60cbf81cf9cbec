"""Enqueue, status and take with 1,000 and with 1,000,000 e-mail jobs queued, p50; and the bytes of a queued job.

Two servers at once, one with each number of jobs, and the calls take turns between them in rounds: enqueue and status
are the API's own calls, one job each, over one connection; take is the worker's, 16 jobs a call. Each round takes and
finishes as many as it stored. The jobs are copies, made in the server, of one that Errand stored. `appendfsync
everysec`; the append-only file is not rewritten meanwhile (`auto-aof-rewrite-percentage 0`). Bytes are used_memory's
growth over 20,000 jobs, stored by Errand's enqueuer and by RQ's `Queue.enqueue` with the same function, arguments,
times and description; a server's hash seed makes 72 of them more or less, for both.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from uuid import uuid4

from bench.figure import Bar, Result
from bench.queued import (
    EMAIL_JOB,
    LIFETIMES,
    PAYLOAD,
    measure_bytes,
    measure_hash_bytes,
    multiply,
    store,
    store_as_rq,
    wait_for_disk,
)
from bench.server import Server, start_server
from bench.system import System
from errand.redis.connection import connect
from errand.store.enqueue import Enqueuer
from errand.store.new_job import NewJob
from errand.store.settings import QueueSettings
from errand.store.status import StatusReader
from errand.worker.execution import Execution
from errand.worker.records import Records
from errand.worker.report import Report
from errand.worker.served import ServedQueues

NAME = "growth"
TITLE = "Growth"
SYSTEMS = ("errand", "rq")
FEW, MANY = 1_000, 1_000_000
BARS = [
    Bar("bytes a job", 1.3, against="rq", at_most=True),
    *(
        Bar(f"{step}, {MANY:,} queued", 1.2, against="errand", other=f"{step}, {FEW:,} queued", at_most=True)
        for step in ("enqueue", "status", "take 16")
    ),
]
STORED = 20_000  # jobs over which the growth is taken
ROUNDS = 20  # of calls on each of the two servers
CALLS = 10  # that take jobs, in a round
THREADS = 16


def measure(system: System) -> list[Result]:
    """Return bytes a job and, of Errand, the p50 of each step in milliseconds."""
    if system.name == "rq":
        return _measure_bytes(lambda server: store_as_rq(server, STORED))
    return _measure_bytes(lambda server: _store(server, STORED)) + _measure_steps()


def _store(server: Server, count: int) -> None:
    asyncio.run(store(server.url, EMAIL_JOB, PAYLOAD, count))


def _measure_bytes(store: Callable[[Server], None]) -> list[Result]:
    with start_server("none") as server, server.connect() as redis:
        before = measure_bytes(redis)
        store(server)
        grown = measure_bytes(redis) - before
        return [
            Result("bytes a job", grown / STORED, "bytes"),
            Result("MEMORY USAGE of its hash", measure_hash_bytes(redis), "bytes"),
        ]


def _measure_steps() -> list[Result]:
    with start_server() as small, start_server() as large:
        for server, count in ((small, FEW), (large, MANY)):
            _fill(server, count)
        levels = {FEW: Level(small), MANY: Level(large)}
        asyncio.run(_take_turns(list(levels.values())))
    return [
        Result(f"{step}, {count:,} queued", median(seconds) * 1000, "ms")
        for count, level in levels.items()
        for step, seconds in level.seconds.items()
    ]


def _fill(server: Server, count: int) -> None:
    with server.connect() as redis:
        redis.config_set("auto-aof-rewrite-percentage", 0)
        _store(server, 1)
        multiply(redis, count)
        wait_for_disk(redis)


async def _take_turns(levels: list["Level"]) -> None:
    for level in levels:
        level.connect()
        await level.run_round()
        level.seconds.clear()  # the first one warmed it up
    for number in range(ROUNDS):
        for level in levels if number % 2 else reversed(levels):
            await level.run_round()
    for level in levels:
        await level.close()


@dataclass
class Level:
    """One server with its jobs, and how many seconds each call took."""

    server: Server
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def connect(self) -> None:
        """Open the API's connection and the worker's."""
        self._redis, self._worker_redis = connect(self.server.url), self.server.connect()
        self._enqueuer = Enqueuer(self._redis, QueueSettings(REDIS_URL=self.server.url), {EMAIL_JOB.type: EMAIL_JOB})
        self._reader = StatusReader(self._redis)
        self._worker_redis.hset("rq:worker:bench", "state", "idle")
        self._records = Records(self._worker_redis, "bench", LIFETIMES)

    async def close(self) -> None:
        """Close them."""
        await self._redis.aclose()
        self._worker_redis.close()

    async def run_round(self) -> None:
        """Store some jobs, read each, and take and finish as many."""
        jobs = [NewJob(EMAIL_JOB, PAYLOAD) for _ in range(CALLS * THREADS)]
        for job in jobs:
            began = time.perf_counter()
            await self._enqueuer.store([job])
            self._note("enqueue", began)
        for job in jobs:
            began = time.perf_counter()
            assert await self._reader.read(job.id)
            self._note("status", began)
        for _ in range(CALLS):
            self._finish(self._take())

    def _take(self) -> list[Execution]:
        ids = [uuid4().hex for _ in range(THREADS)]
        queues = ServedQueues([EMAIL_JOB.queue.name], in_turn=False)
        began = time.perf_counter()
        executions = self._records.exchange([], ids, queues).executions
        self._note(f"take {THREADS}", began)
        assert len(executions) == THREADS
        return executions

    def _finish(self, executions: list[Execution]) -> None:
        now = time.time()
        self._records.exchange([Report("finished", execution, "bnVsbA==", ended=now) for execution in executions])

    def _note(self, step: str, began: float) -> None:
        self.seconds.setdefault(step, []).append(time.perf_counter() - began)
