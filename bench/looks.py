"""What the scripts that read, list, count and sweep are given at the documented limits, for `bench.longest`."""

import json
import time

from bench.queued import PAYLOAD
from bench.world import Act, Scene, World
from errand.redis import keys
from errand.redis.lua.loader import read_script
from errand.store.batch import filter_batches
from errand.store.index import Filter
from errand.store.schedules.schedule import Schedule
from errand.worker.maintenance.bodies import Bodies
from errand.worker.maintenance.stats import Folding
from errand.worker.maintenance.sweep import Sweep


async def _sweep(world: World) -> Act:
    await world.store_jobs(5000)
    world.redis.delete(*world.redis.scan_iter("rq:job:*", 10_000))

    async def act() -> None:
        for _ in range(20):
            Sweep(world.measured).run(0)

    return act


async def _fold(world: World) -> Act:
    minute = int(time.time() / 60)
    for ago in range(1, 60):
        counts = {f"t{type}|{wait}|{run}|finished": 1 for type in range(50) for wait in range(6) for run in range(6)}
        world.redis.hset(f"{keys.TALLY}{minute - ago}", mapping=counts)

    async def act() -> None:
        for _ in range(30):
            Folding(world.measured).run()

    return act


async def _metrics(world: World) -> Act:
    act = await _fold(world)
    await act()
    for number in range(100):
        world.redis.hset(f"rq:worker:w{number}", mapping={"state": "idle", "last_heartbeat": "2026"})
        world.redis.sadd("rq:workers", f"rq:worker:w{number}")
    return lambda: world.store.observe.metrics.read(world.store.queues)


async def _workers(world: World) -> Act:
    await _metrics(world)
    return world.store.workers.read_all


async def _queues(world: World) -> Act:
    for number in range(100):
        world.redis.sadd("rq:queues", f"rq:queue:q{number}")
    await world.store_jobs(1000)
    return world.store.queues.read_all


async def _failures(world: World) -> Act:
    ids = await world.store_jobs(2000)
    world.end(ids)
    return world.store.observe.failures.read


async def _page(world: World) -> Act:
    for _ in range(10):
        await world.store_jobs(1000, tags=("a",))

    async def act() -> None:
        await world.store.index.read(Filter(), 100)
        await world.store.index.read(Filter(status="failed"), 100)
        await world.store.index.read(Filter(tag="a", status="failed"), 100)
        await world.store.index.read(Filter(status="queued"), 100)

    return act


async def _batches(world: World) -> Act:
    for _ in range(100):
        await world.store_batch(keys.BATCH_LIMIT)
    return lambda: world.store.batches.list(filter_batches(None), 100)


async def _one_batch(world: World) -> Act:
    id = await world.store_batch(keys.BATCH_LIMIT)
    return lambda: world.store.batches.read(id)


async def _schedules(world: World) -> Act:
    for number in range(10_000):
        await world.store.schedules.put(Schedule(f"s{number}", "email", PAYLOAD, "0 0 * * *"))
    return world.store.schedules.list


async def _files_schedules(world: World) -> Act:
    await _schedules(world)
    script = world.measured.register_script(read_script("schedules/put"))
    request = {"source": "file", "token": "t", "now": "n", "only": True, "types": ["email"], "schedules": []}

    async def act() -> None:
        script(args=[json.dumps(request)])

    return act


async def _bodies(world: World) -> Act:
    names = [f"{number:064x}" for number in range(2000)]
    for name in names:
        world.redis.set(keys.BODY + name, "x")
        world.redis.zadd(keys.BODY_HOLDS, {f"{name}:gone": 0})
        world.redis.hset(keys.BODIES, mapping={name: 1, "total": 2000})

    async def act() -> None:
        for _ in range(20):
            Bodies(world.measured).run()

    return act


LOOKS = (
    Scene("sweep", "5,000 expired", _sweep),
    Scene("fold", "an hour of 50 types", _fold),
    Scene("metrics", "50 types, 100 workers", _metrics),
    Scene("workers", "100 workers", _workers),
    Scene("queues", "100 queues", _queues),
    Scene("failures", "2,000 failed", _failures),
    Scene("page", "10,000 jobs", _page),
    Scene("batches", "100 of 1,000 jobs", _batches),
    Scene("batch", "1,000 jobs", _one_batch),
    Scene("schedules", "10,000", _schedules),
    Scene("schedules, put only", "10,000", _files_schedules),
    Scene("bodies", "2,000 to let go", _bodies),
)
