"""An `Errand` that has been started: what its lifespan opens, and how it stores a job from async code."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from errand.api.lifespan import build_chores, log_durability, run_store
from errand.api.store import Store, build_store
from errand.contract.from_python.options import Asked
from errand.contract.job import Job
from errand.redis import keys
from errand.redis.connection import Connector
from errand.redis.server import check_server
from errand.store.answer import UniqueJobError
from errand.store.bodies import have_large
from errand.store.from_python.planned import plan
from errand.store.settings import LifetimeSettings

if TYPE_CHECKING:
    from errand.app.mount import MountedApp  # the whole API, which an application without it need not load


@asynccontextmanager
async def run(connector: Connector, types: dict[str, Job[..., Any]], app: "MountedApp | None") -> AsyncIterator[Store]:
    """Keep a store open inside the block: that of the mounted `app`, which is built for it, or one of its own.

    Raises SettingsError, and EvictingServerError for a server that may throw jobs away.
    """
    store = build_store(connector, LifetimeSettings(), types) if app is None else app.build(connector, types)
    try:
        async with run_store(store, build_chores(store)):
            await log_durability(asyncio.wait_for(check_server(store.server.redis, store.clock), keys.API_SECONDS))
            yield store
    finally:
        if app is not None:
            app.drop()


async def store_from_code(store: Store, job: Job[..., Any], payload: dict[str, Any], asked: Asked) -> str:
    """Store a job over a store in use; return its id. Raises what `Job.store` says."""
    await store.enqueuer.memory.check()  # which sets the clock
    jobs, holder = [plan(job, payload, asked).build(store.clock.moment())], None
    if have_large(jobs):
        intake, limit_bytes = store.intake, store.enqueuer.memory.limit_bytes
        left, holder = await intake.room.run(lambda: intake.bodies.put_large(jobs, limit_bytes))
        jobs = list(left)
    try:
        async with asyncio.timeout(keys.API_SECONDS):
            await store.enqueuer.store(jobs, holder=holder)
    except UniqueJobError as error:
        return error.id
    return jobs[0].id
