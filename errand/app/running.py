"""An `Errand` that has been started: what its lifespan opens, and how it stores a job from async code."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from errand.api.running import run_road, tell_durability
from errand.api.state import Road, build_road
from errand.contract.job import Job
from errand.contract.storing.asked import Asked
from errand.redis import keys
from errand.redis.connection import Connector
from errand.redis.server import check_server
from errand.store.answer import UniqueJobError
from errand.store.bodies import have_large
from errand.store.direct.planned import plan
from errand.store.settings import LifetimeSettings

if TYPE_CHECKING:
    from errand.app.mount import MountedApp  # the whole API, which an application without it need not load


@asynccontextmanager
async def run(connector: Connector, types: dict[str, Job[..., Any]], app: "MountedApp | None") -> AsyncIterator[Road]:
    """Open the road to Redis, and build the mounted `app` where there is one, on the same road."""
    road = build_road(connector, LifetimeSettings(), types) if app is None else app.build(connector, types)
    try:
        async with run_road(road, [road.posted.keep]):
            await tell_durability(asyncio.wait_for(check_server(road.redis, road.clock), keys.API_SECONDS))
            yield road
    finally:
        if app is not None:
            app.drop()


async def store(road: Road, job: Job[..., Any], payload: dict[str, Any], asked: Asked) -> str:
    """Store a job over a road in use; return its id. Raises what `Job.store` says."""
    await road.enqueuer.memory.check()  # which sets the clock
    jobs, holder = [plan(job, payload, asked).build(road.clock.moment())], None
    if have_large(jobs):
        left, holder = await road.intake.run(lambda: road.bodies.put_large(jobs, road.enqueuer.memory.limit_bytes))
        jobs = list(left)
    try:
        async with asyncio.timeout(keys.API_SECONDS):
            await road.enqueuer.store(jobs, holder=holder)
    except UniqueJobError as error:
        return error.id
    return jobs[0].id
