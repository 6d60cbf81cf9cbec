"""Calls that leave together: one round trip, an answer for each."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.exceptions import ConnectionError, RedisError, ResponseError

from errand.local.valkey import EmbeddedValkey
from errand.redis import keys
from errand.redis.connection import connect
from errand.redis.group_commit import GroupCommit
from errand.store.enqueue import Enqueuer
from errand.store.idempotency import Claim, StoredBeforeError
from errand.store.new_job import NewJob, UnknownParentError
from errand.store.settings import QueueSettings
from errand.store.status import StatusReader
from tests.support.job_types import TYPES
from tests.support.proxies import Proxy

UNKNOWN = "5f0c7d1e-0000-4000-8000-000000000000"


class Gate:
    """Passes everything on, notes how many calls of scripts each message holds, and holds these messages while shut."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.open = asyncio.Event()
        self.open.set()
        self.held = asyncio.Event()
        self.calls: list[int] = []

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._pass, "127.0.0.1", 0)

    def shut(self) -> None:
        """Hold what comes from now on; `held` is set when something has come."""
        self.open.clear()
        self.held.clear()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_unix_connection(self._path)
        while request := await reader.read(1 << 20):
            if count := request.count(b"EVALSHA"):
                self.calls.append(count)
                self.held.set()
                await self.open.wait()
            behind_writer.write(request)
            writer.write(await behind_reader.read(1 << 20))
        writer.close()
        behind_writer.close()


def new_job(**options: Any) -> NewJob:
    return NewJob(TYPES["log"], {"text": "x"}, **options)


def read_queue(redis: Redis) -> list[str]:
    return [id.decode() for id in redis.lrange("rq:queue:log", 0, -1)]


Use = Callable[[Callable[[Enqueuer, Gate], Awaitable[Any]]], Any]


@pytest.fixture
def use(queue_settings: QueueSettings) -> Use:
    """Call an Enqueuer that has stored a job already, behind a gate, inside an event loop of its own."""

    def run(call: Callable[[Enqueuer, Gate], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            gate = Gate(urlsplit(queue_settings.redis_url).path)
            server = await gate.serve()
            url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with server, connect(url) as redis, asyncio.timeout(20):
                enqueuer = Enqueuer(redis, queue_settings, TYPES)
                await enqueuer.store([NewJob(TYPES["email"], {})])
                gate.calls.clear()
                return await call(enqueuer, gate)

        return asyncio.run(main())

    return run


async def store_behind_one(enqueuer: Enqueuer, gate: Gate, jobs: list[NewJob]) -> list[asyncio.Task[list[str]]]:
    """Begin to store the jobs, each for itself, the first of them alone in a group that is held at the gate."""
    gate.shut()
    first = asyncio.create_task(enqueuer.store(jobs[:1]))
    await asyncio.wait_for(gate.held.wait(), 5)
    others = [asyncio.create_task(enqueuer.store([job])) for job in jobs[1:]]
    await asyncio.sleep(0.01)
    return [first, *others]


def test_what_comes_while_a_group_is_under_way_leaves_together_in_the_next(redis: Redis, use: Use) -> None:
    jobs = [new_job() for _ in range(6)]

    async def main(enqueuer: Enqueuer, gate: Gate) -> tuple[list[list[str]], list[int]]:
        storing = await store_behind_one(enqueuer, gate, jobs)
        gate.open.set()
        return await asyncio.gather(*storing), gate.calls

    assert use(main) == ([["queued"]] * 6, [1, 5])
    assert read_queue(redis) == [job.id for job in jobs]


def test_what_comes_at_once_leaves_together(redis: Redis, use: Use) -> None:
    async def main(enqueuer: Enqueuer, gate: Gate) -> list[int]:
        await asyncio.gather(*(enqueuer.store([new_job()]) for _ in range(10)))
        return gate.calls

    assert use(main) == [10]
    assert len(read_queue(redis)) == 10


def test_a_group_takes_a_hundred_jobs_and_a_batch_that_is_larger_goes_alone(
    redis: Redis, queue_settings: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange, groups = GroupCommit._exchange, []

    def note(self: GroupCommit, calls: Any) -> Any:
        groups.append(len(calls))
        return exchange(self, calls)

    async def main() -> None:
        async with connect(queue_settings.redis_url) as client:
            enqueuer = Enqueuer(client, queue_settings, TYPES)
            await enqueuer.store([new_job()])
            monkeypatch.setattr(GroupCommit, "_exchange", note)
            storing = [enqueuer.store([new_job()]) for _ in range(150)]
            storing.append(enqueuer.store([new_job(batch=UNKNOWN) for _ in range(1000)], (UNKNOWN, "log")))
            await asyncio.gather(*storing, enqueuer.store([new_job()]))

    asyncio.run(main())
    assert groups == [100, 50, 1, 1]
    assert redis.llen("rq:queue:log") == 1152


def test_one_that_is_refused_is_no_matter_to_the_others(redis: Redis, use: Use) -> None:
    claim = Claim("ops", "order-7", "f" * 64)

    async def main(enqueuer: Enqueuer, gate: Gate) -> list[Any]:
        redis.delete("rq:queue:email")
        redis.set("rq:queue:email", "?")  # which stops the script
        storing = [
            enqueuer.store([new_job()], claim=claim),
            enqueuer.store([new_job(after=(UNKNOWN,))]),
            enqueuer.store([NewJob(TYPES["email"], {})]),
            enqueuer.store([new_job()], claim=claim),
            enqueuer.store([new_job()]),
        ]
        return await asyncio.gather(*storing, return_exceptions=True)

    first, orphan, damaged, again, last = use(main)
    assert (first, last) == (["queued"], ["queued"])
    assert [type(error) for error in (orphan, damaged, again)] == [UnknownParentError, ResponseError, StoredBeforeError]
    assert len(read_queue(redis)) == 2


def test_a_caller_that_is_canceled_leaves_its_group_as_it_is(redis: Redis, use: Use) -> None:
    jobs = [new_job() for _ in range(3)]

    async def main(enqueuer: Enqueuer, gate: Gate) -> list[Any]:
        gate.shut()
        storing = [asyncio.create_task(enqueuer.store([job])) for job in jobs]
        await asyncio.wait_for(gate.held.wait(), 5)
        storing[1].cancel()
        await asyncio.sleep(0.01)
        gate.open.set()
        return await asyncio.gather(*storing, return_exceptions=True)

    first, canceled, last = use(main)
    assert (first, type(canceled), last) == (["queued"], asyncio.CancelledError, ["queued"])
    assert read_queue(redis) == [job.id for job in jobs]


def test_a_caller_that_is_canceled_before_its_group_leaves_stays_behind(redis: Redis, use: Use) -> None:
    jobs = [new_job() for _ in range(3)]

    async def main(enqueuer: Enqueuer, gate: Gate) -> None:
        storing = await store_behind_one(enqueuer, gate, jobs)
        storing[1].cancel()
        await asyncio.sleep(0.01)
        gate.open.set()
        await asyncio.gather(*storing, return_exceptions=True)

    use(main)
    assert read_queue(redis) == [jobs[0].id, jobs[2].id]


def test_a_lost_reply_to_many_stores_each_once(redis: Redis, queue_settings: QueueSettings) -> None:
    jobs = [new_job() for _ in range(20)]

    async def main() -> tuple[list[list[str]], int]:
        with Proxy(queue_settings.redis_url) as proxy:
            proxy.lose_reply()
            async with connect(proxy.url) as client:
                enqueuer = Enqueuer(client, queue_settings, TYPES)
                return await asyncio.gather(*(enqueuer.store([job]) for job in jobs)), proxy.cuts

    assert asyncio.run(main()) == ([["queued"]] * 20, 1)
    assert read_queue(redis) == [job.id for job in jobs]


def test_a_script_that_was_lost_is_loaded_once_for_all(redis: Redis, use: Use) -> None:
    async def main(enqueuer: Enqueuer, gate: Gate) -> tuple[list[list[str]], list[int]]:
        redis.script_flush()
        return await asyncio.gather(*(enqueuer.store([new_job()]) for _ in range(10))), gate.calls

    assert use(main) == ([["queued"]] * 10, [10, 10])
    assert len(read_queue(redis)) == 10


def test_a_server_that_is_away_is_reported_to_all_and_used_again_when_it_is_back(own_valkey: EmbeddedValkey) -> None:
    settings = QueueSettings(REDIS_URL=own_valkey.url)

    async def main() -> tuple[set[type], list[str]]:
        async with connect(own_valkey.url) as redis:
            enqueuer = Enqueuer(redis, settings, TYPES)
            await enqueuer.store([new_job()])
            await asyncio.to_thread(own_valkey.stop)
            storing = (enqueuer.store([new_job()]) for _ in range(50))
            outcomes = await asyncio.gather(*storing, return_exceptions=True)
            await asyncio.to_thread(own_valkey.start)
            return {type(outcome) for outcome in outcomes}, await enqueuer.store([new_job()])

    assert asyncio.run(main()) == ({ConnectionError}, ["queued"])


def test_late_answers_of_a_stuck_server_reach_nobody_else(own_valkey: EmbeddedValkey) -> None:
    settings = QueueSettings(REDIS_URL=own_valkey.url)
    jobs = [new_job() for _ in range(10)]

    async def read(reader: StatusReader, job: NewJob) -> str | None:
        found = await reader.read(job.id)
        return found.id if found else None

    async def main() -> tuple[set[bool], list[str | None]]:
        async with connect(own_valkey.url) as redis:
            reader, pid = StatusReader(redis), int((await redis.info("server"))["process_id"])
            await Enqueuer(redis, settings, TYPES).store(jobs)
            os.kill(pid, signal.SIGSTOP)
            try:
                async with asyncio.timeout(keys.GROUP_SECONDS + 1):
                    stuck = await asyncio.gather(*(read(reader, job) for job in jobs[:5]), return_exceptions=True)
            finally:
                os.kill(pid, signal.SIGCONT)
            late = {isinstance(error, RedisError | TimeoutError) for error in stuck}
            return late, [await read(reader, job) for job in jobs]

    assert asyncio.run(main()) == ({True}, [job.id for job in jobs])
