"""What the scripts that read, list, count and sweep are given at the documented limits, for `bench.longest`."""

import json
import time

from bench.queued import PAYLOAD, multiply
from bench.world import QUEUE, Act, Scene, World
from errand.redis import keys
from errand.redis.lua.loader import read_script
from errand.store.batch import filter_batches
from errand.store.batch_jobs import filter_batch
from errand.store.index import Filter
from errand.store.observe.health import HealthReader
from errand.store.schedules.schedule import Schedule
from errand.worker.maintenance.bodies import Bodies
from errand.worker.maintenance.stats import StatsRollup
from errand.worker.maintenance.sweep import Sweep
from errand.worker.maintenance.wrong_type_keys import WrongKeys

TYPES = [f"t{number}" for number in range(50)]
ALWAYS = "9999-12-31T23:59:59Z"  # a worker that was heard then lives for as long as a scene takes


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
        counts = {f"{type}|{wait}|{run}|finished": 1 for type in TYPES for wait in range(6) for run in range(6)}
        world.redis.hset(f"{keys.TALLY}{minute - ago}", mapping=counts)

    async def act() -> None:
        for _ in range(30):
            StatsRollup(world.measured).run()

    return act


def _add_workers(world: World) -> None:
    """Register a hundred that live, and have fifty types each."""
    types = dict.fromkeys(TYPES, "0" * keys.CODE_LENGTH)
    for number in range(100):
        record = {"state": "idle", "queues": QUEUE, "last_heartbeat": ALWAYS}
        world.redis.hset(f"rq:worker:w{number}", mapping=record)
        world.redis.sadd("rq:workers", f"rq:worker:w{number}")
        world.redis.hset(f"{keys.TYPES}w{number}", mapping=types)


async def _metrics(world: World) -> Act:
    act = await _fold(world)
    await act()
    _add_workers(world)
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
    world.end(len(ids))
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


async def _jobs_of_a_batch(world: World) -> Act:
    id = await world.store_batch(keys.BATCH_LIMIT)
    return lambda: world.store.batches.jobs.read(filter_batch(id, "failed"), 100)


async def _stats(world: World) -> Act:
    act = await _fold(world)
    await act()
    start = (int(time.time() / 60) - 60) * 60
    return lambda: world.store.observe.stats.read(60, start, 60)


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


async def _keys(world: World) -> Act:
    names = [f"n{number}" for number in range(1000)]
    world.redis.sadd(keys.QUEUES, *(keys.QUEUE + name for name in names[:100]))
    world.redis.sadd(keys.RATED, *(f"{keys.RATED_JOBS}q:{name}" for name in names))
    world.redis.sadd(keys.PARKED, *(f"{keys.PARKED_JOBS}q:{name}:" for name in names))
    world.redis.sadd(keys.LIMITS, *names)
    world.redis.hset(keys.RATES, mapping=dict.fromkeys(names, 0))
    world.redis.zadd(keys.INDEXES, {f"{keys.INDEX}q:{name}": 0 for name in names})

    async def act() -> None:
        WrongKeys(world.measured).run()

    return act


async def _why(world: World) -> Act:
    _add_workers(world)
    await world.store_jobs(1)
    multiply(world.redis, 100_000)
    (id,) = await world.store_jobs(1)
    multiply(world.redis, 200_000)
    return lambda: world.store.observe.why.read(id)


async def _why_after_batches(world: World) -> Act:
    _add_workers(world)
    batches = [await world.store_batch(keys.BATCH_LIMIT) for _ in range(keys.LINKS_LIMIT // keys.BATCH_LIMIT)]
    (id,) = await world.store_jobs(1, after=tuple(batches))
    return lambda: world.store.observe.why.read(id)


async def _health(world: World) -> Act:
    _add_workers(world)
    await world.store_jobs(1000)
    types = {name: world.type.adopt(f"jobs.{name}") for name in TYPES}
    parks = {f"{keys.PARKED_JOBS}{QUEUE}:{name}:": f"id of {name}" for name in TYPES}
    world.redis.sadd(keys.PARKED, *parks)
    for park, id in parks.items():
        world.redis.zadd(park, {id: 0})
    return HealthReader(world.store.redis, types, world.store.clock).read


LOOKS = (
    Scene("sweep", "5,000 expired", _sweep),
    Scene("rollup", "an hour of 50 types", _fold),
    Scene("metrics", "50 types, 100 workers", _metrics),
    Scene("workers", "100 workers", _workers),
    Scene("queues", "100 queues", _queues),
    Scene("failures", "2,000 failed", _failures),
    Scene("page", "10,000 jobs", _page),
    Scene("batches", "100 of 1,000 jobs", _batches),
    Scene("batch", "1,000 jobs", _one_batch),
    Scene("batch, its failed jobs", "1,000 jobs", _jobs_of_a_batch),
    Scene("stats", "an hour of 50 types", _stats),
    Scene("schedules", "10,000", _schedules),
    Scene("schedules, put only", "10,000", _files_schedules),
    Scene("bodies", "2,000 to let go", _bodies),
    Scene("keys", "100 queues, 1,000 other names", _keys),
    Scene("why", "a job amid 200,000", _why),
    Scene("why, batches", "a job after 5 of 1,000", _why_after_batches),
    Scene("health", "50 types, 100 workers", _health),
)
