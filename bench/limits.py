"""What each script is given at the documented limits, for `bench.longest`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from redis import Redis
from rq import Queue

from bench.looks import LOOKS
from bench.queued import PAYLOAD
from bench.world import QUEUE, THREADS, Act, Scene, World, write
from errand.redis import keys
from errand.store.new_job import NewJob
from errand.store.schedules.schedule import Schedule
from errand.store.settings import LifetimeSettings
from errand.worker.maintenance.due import DueJobs
from errand.worker.maintenance.expired import ExpiredJobs
from errand.worker.maintenance.lost_jobs import LostJobs
from errand.worker.maintenance.orphans import Orphans
from errand.worker.maintenance.parked import ParkedJobs
from errand.worker.maintenance.schedules import DueSchedules


async def _batch(world: World) -> Act:
    return lambda: world.store_batch(keys.BATCH_LIMIT)


async def _batch_with_all(world: World) -> Act:
    (parent,) = await world.store_jobs(1)
    options: dict[str, Any] = {"tags": ("a", "b"), "webhook": "https://example.com/", "expires_in_seconds": 100}
    return lambda: world.store_batch(keys.BATCH_LIMIT, after=(parent,), **options)


async def _batch_of_a_key(world: World) -> Act:
    return lambda: world.store_batch(keys.BATCH_LIMIT, limit=("k", keys.BATCH_LIMIT))


async def _five_after_a_batch(world: World) -> Act:
    parent = await world.store_batch(keys.BATCH_LIMIT)
    return lambda: world.store_jobs(5, after=(parent,))


async def _a_key_that_is_raised(world: World) -> Act:
    await world.store_jobs(5000, limit=("k", 1))
    return lambda: world.store_jobs(1, limit=("k", 5000))


def _wide(on_failure: str, act: Callable[[World, str], Awaitable[Any]]) -> Callable[[World], Awaitable[Act]]:
    async def prepare(world: World) -> Act:
        (parent,) = await world.store_jobs(1)
        await world.store_jobs(keys.DEPENDENTS_LIMIT, after=(parent,), on_failure=on_failure)
        return lambda: act(world, parent)

    return prepare


async def _cancel(world: World, id: str) -> None:
    await world.store.changes.canceller.cancel(id, str(uuid4()))
    _settle(world)


async def _delete(world: World, id: str) -> None:
    await world.store.changes.deleter.delete(id)
    _settle(world)


async def _fail(world: World, id: str) -> None:
    world.end(1)
    _settle(world)


async def _finish(world: World, id: str) -> None:
    world.end(1, "finished")
    _settle(world)


def _settle(world: World) -> None:
    """Settle all dependents, as the workers' chores do."""
    while world.records.settle():
        pass


async def _chain(world: World) -> Act:
    (first,) = await world.store_jobs(1)
    last = first
    for _ in range(60):
        jobs: list[NewJob] = []
        for _ in range(100):
            jobs.append(world.new(after=(last,)))
            last = jobs[-1].id
        await world.store.enqueuer.store(jobs)
    return lambda: _cancel(world, first)


async def _last_of_a_batch(world: World) -> Act:
    parent = await world.store_batch(keys.BATCH_LIMIT)
    for _ in range(100):
        await world.store_jobs(5, after=(parent,))
    world.end(keys.BATCH_LIMIT - 1, "finished")
    return lambda: _finish(world, "")


async def _bulk_cancel(world: World) -> Act:
    ids = await world.store_jobs(5000)
    return lambda: world.store.changes.bulk.apply("cancel", ids)


async def _bulk_cancel_in_a_long_queue(world: World) -> Act:
    ids = await world.store_jobs(100)
    _lengthen(world.redis, 250_000, "LPUSH")
    _lengthen(world.redis, 250_000, "RPUSH")
    return lambda: world.store.changes.bulk.apply("cancel", ids)


def _lengthen(redis: Redis, count: int, command: str) -> None:
    """Make the queue longer by ids without jobs."""
    for _ in range(0, count, 1000):
        redis.execute_command(command, f"rq:queue:{QUEUE}", *(str(uuid4()) for _ in range(1000)))


async def _bulk_delete(world: World) -> Act:
    ids = await world.store_jobs(2000)
    return lambda: world.store.changes.bulk.apply("delete", ids)


async def _bulk_requeue(world: World) -> Act:
    ids = await world.store_jobs(2000)
    await world.store.changes.bulk.apply("cancel", ids)
    return lambda: world.store.changes.bulk.apply("requeue", ids)


async def _requeue_of_a_queue(world: World) -> Act:
    ids = await world.store_jobs(2000)
    world.end(len(ids))

    async def act() -> None:
        async for _ in world.store.changes.requeuer.requeue_failed(QUEUE):
            pass

    return act


async def _expire(world: World) -> Act:
    ids = await world.store_jobs(2000, expires_in_seconds=1000)
    world.redis.zadd(keys.EXPIRES, dict.fromkeys(ids, 1))

    async def act() -> None:
        while world.redis.zcard(keys.EXPIRES):
            ExpiredJobs(world.records).run()

    return act


async def _look_for_orphans(world: World) -> Act:
    (parent,) = await world.store_jobs(1)
    await world.store_jobs(2000, after=(parent,))
    world.redis.hset(keys.JOB + parent, "status", "failed")

    async def act() -> None:
        for _ in range(3):
            Orphans(world.records, [QUEUE]).run()

    return act


async def _exchange(world: World) -> Act:
    await world.store_jobs(1000)

    async def act() -> None:
        for kind in ("finished", "permanent", "failed"):
            world.records.exchange([write(kind, task) for task in world.take()])

    return act


async def _due(world: World) -> Act:
    ids = await world.store_jobs(5000)
    world.redis.delete(f"rq:queue:{QUEUE}")
    world.redis.zadd(keys.SCHEDULED + QUEUE, dict.fromkeys(ids, 1))
    jobs = DueJobs(world.measured, [Queue(QUEUE, connection=world.measured)])

    async def act() -> None:
        while world.redis.zcard(keys.SCHEDULED + QUEUE):
            jobs.move()

    return act


async def _serve(world: World) -> Act:
    """Serve each schedule again: its job waits for that of the occurrence before, which has not ended."""
    names = [f"s{number}" for number in range(1000)]
    for name in names:
        await world.store.schedules.put(Schedule(name, "email", PAYLOAD, "0 0 * * *", catch_up="all"))
    schedules = DueSchedules(world.measured, LifetimeSettings(), {"email": world.type})

    async def act() -> None:
        due_at = int(time.time())
        world.redis.zadd(keys.SCHEDULES, dict.fromkeys(names, due_at))
        while world.redis.zcount(keys.SCHEDULES, due_at, due_at):
            schedules.run()

    await act()
    await asyncio.sleep(1)  # another occurrence is another second
    return act


async def _lost(world: World) -> Act:
    await world.store_jobs(2000)
    world.redis.delete(f"rq:queue:{QUEUE}")
    jobs = LostJobs(world.measured)

    async def act() -> None:
        while world.redis.llen(f"rq:queue:{QUEUE}") < 2000:
            jobs.run(pace_ms=0, pass_ms=0, between_looks_seconds=0)

    return act


async def _lost_in_a_long_queue(world: World) -> Act:
    """Look for jobs in a queue that is longer than the look goes: what it does not find may be there."""
    await world.store_jobs(100)
    world.redis.delete(f"rq:queue:{QUEUE}")
    _lengthen(world.redis, 500_000, "RPUSH")
    jobs = LostJobs(world.measured)

    async def act() -> None:
        for _ in range(200):
            jobs.run(pace_ms=0, pass_ms=0, between_looks_seconds=0)

    return act


async def _recover(world: World) -> Act:
    await world.store_jobs(640)
    for _ in range(10):
        world.take()
    world.redis.zadd(keys.LEASES, dict.fromkeys(world.redis.zrange(keys.LEASES, 0, -1), 1))

    async def act() -> None:
        while world.records.leases.recover():
            pass

    return act


async def _let_parked_go(world: World) -> Act:
    ids = await world.store_jobs(2000)
    world.redis.delete(f"rq:queue:{QUEUE}")
    park = f"{keys.PARKED_JOBS}{QUEUE}:email:{'0' * keys.CODE_LENGTH}"
    world.redis.sadd(keys.PARKED, park)
    world.redis.zadd(park, dict.fromkeys(ids, 0))

    async def act() -> None:
        while world.redis.zcard(park):
            ParkedJobs(world.measured).run()

    return act


MANY = f"{keys.DEPENDENTS_LIMIT:,} dependents"
SCENES = (
    Scene("enqueue", "a batch of 1,000", _batch, is_batch=True),
    Scene("enqueue, all options", "a batch of 1,000", _batch_with_all, is_batch=True),
    Scene("enqueue, concurrency key", "a batch of 1,000", _batch_of_a_key, is_batch=True),
    Scene("enqueue_after", "5 jobs after a batch of 1,000", _five_after_a_batch),
    Scene("fill", "a concurrency of 1 made 5,000", _a_key_that_is_raised),
    Scene("cancel", MANY, _wide("cancel", _cancel)),
    Scene("cancel, run", f"{MANY} with run", _wide("run", _cancel)),
    Scene("cancel, wait", f"{MANY} with wait", _wide("wait", _cancel)),
    Scene("delete", MANY, _wide("cancel", _delete)),
    Scene("exchange, failure", MANY, _wide("cancel", _fail)),
    Scene("exchange, finish", MANY, _wide("cancel", _finish)),
    Scene("cancel, chain", "6,000 one after another", _chain),
    Scene("exchange, last of a batch", "500 jobs after 1,000", _last_of_a_batch),
    Scene("cancel, many", "5,000 jobs", _bulk_cancel),
    Scene("cancel, long queue", "100 jobs amid 500,000", _bulk_cancel_in_a_long_queue),
    Scene("delete, many", "2,000 jobs", _bulk_delete),
    Scene("requeue, many", "2,000 jobs", _bulk_requeue),
    Scene("requeue, queue", "2,000 failed", _requeue_of_a_queue),
    Scene("expire", "2,000 jobs at once", _expire),
    Scene("orphans", "2,000 orphans", _look_for_orphans),
    Scene("exchange", f"{THREADS} ends", _exchange),
    Scene("due", "5,000 jobs at once", _due),
    Scene("recover", "640 executions at once", _recover),
    Scene("parked", "2,000 refused jobs", _let_parked_go),
    Scene("serve", "1,000 schedules at once", _serve),
    Scene("lost", "2,000 jobs", _lost),
    Scene("lost, long queue", "100 jobs, a queue of 500,000", _lost_in_a_long_queue),
    *LOOKS,
)
