"""The app factory."""

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline
from redis import RedisError

from jobs import Job, list_queues
from service.api import (
    batches,
    cancel,
    dashboard,
    dead_letters,
    events,
    health,
    jobs,
    listing,
    queues,
    requeue,
    schedules,
    tutorial,
    workers,
)
from service.api.access_log import log_access
from service.api.auth import require_key
from service.api.head import HeadAsGet
from service.api.loopback import LoopbackOnly
from service.api.openapi import Bodies, build_document
from service.api.problems import add_handlers
from service.api.query import refuse_unknown
from service.api.settings import ApiSettings
from service.api.state import Road
from service.api.stopping import tell_of_stop
from service.queue.batch import BatchReader
from service.queue.cancel import Canceller
from service.queue.catalog import read_catalog
from service.queue.connection import connect
from service.queue.dead_letters import DeadLetters
from service.queue.delete import Deleter
from service.queue.enqueue import Enqueuer
from service.queue.index import JobIndex
from service.queue.queues import Queues
from service.queue.requeue import Requeuer
from service.queue.schedules import Schedules
from service.queue.server import EvictingServerError, check_url
from service.queue.settings import QueueSettings, SettingsError, read_settings, tell
from service.queue.status import StatusReader
from service.queue.watch import Watcher
from service.queue.webhook import Webhooks
from service.queue.workers import WorkerReader

logger = logging.getLogger("errand.api")

DESCRIPTION = "Post a job, a worker runs it, read its status. Each job type is a file in `jobs/`."


def create_app(settings: ApiSettings, queue: QueueSettings, types: dict[str, Job[..., Any]]) -> FastAPI:
    """Build the application; nothing is sent to Redis before it starts. Raises SettingsError."""
    settings.check()
    redis = connect(queue.redis_url)
    app = FastAPIOffline(  # /docs loads nothing from elsewhere
        title="Errand",
        version=_read_version(),
        description=DESCRIPTION,
        redirect_slashes=False,
        redoc_url=None,
        lifespan=_lifespan,
        dependencies=[Depends(refuse_unknown)],
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.settings = settings
    enqueuer = Enqueuer(redis, queue, types)
    requeuer = Requeuer(redis, enqueuer.memory)
    index = JobIndex(redis, (job.queue for job in types.values()))
    webhooks = Webhooks(types)
    schedule_store = Schedules(redis, enqueuer.builder, enqueuer.memory, types)
    app.state.road = Road(
        redis,
        types,
        enqueuer,
        requeuer,
        StatusReader(redis),
        BatchReader(redis, queue),
        Watcher(redis, StatusReader(redis), BatchReader(redis, queue)),
        canceller=Canceller(redis, queue, webhooks),
        deleter=(deleter := Deleter(redis, queue, webhooks)),
        index=index,
        dead_letters=DeadLetters(index, requeuer, deleter),
        webhooks=webhooks,
        schedules=schedule_store,
        queues=Queues(redis, list_queues(types)),
        workers=WorkerReader(redis),
    )
    bodies: Bodies = {}
    app.openapi = lambda: build_document(app, bodies)  # type: ignore[method-assign]
    add_handlers(app)
    keyed = [Depends(require_key)] if settings.hashes else []
    checks = [Depends(refuse_unknown), *keyed]
    for router in (jobs.build_router(types, bodies, checks), batches.build_router(types, bodies, checks)):
        app.router.routes += router.routes  # those of an included router are looked through twice for each request
    app.include_router(requeue.router, dependencies=keyed)
    app.include_router(queues.router, dependencies=keyed)
    app.include_router(workers.router, dependencies=keyed)
    app.include_router(schedules.build_router(bodies), dependencies=keyed)
    app.include_router(cancel.router, dependencies=keyed)
    app.include_router(listing.router, dependencies=keyed)
    app.include_router(dead_letters.router, dependencies=keyed)
    app.include_router(events.router, dependencies=keyed)
    app.include_router(tutorial.hello)
    app.include_router(tutorial.router, dependencies=keyed)
    app.include_router(health.router)
    dashboard.mount(app, settings, queue.redis_url)
    if settings.local:
        app.add_middleware(LoopbackOnly)
    app.add_middleware(HeadAsGet)
    return app


def from_environment() -> FastAPI:
    """Build the application for uvicorn's `--factory`; ends the process with a plain text where it can't be built."""
    log_access()
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    try:
        types = read_catalog()
        queue = read_settings(QueueSettings, "the API")
        app = create_app(read_settings(ApiSettings, "the API"), queue, types)
        with ThreadPoolExecutor(1) as thread:  # uvicorn builds the application inside its running loop
            thread.submit(asyncio.run, _check_redis(queue.redis_url)).result()
        gc.freeze()  # what is there now stays: each look at all of it would stop every request for some 60 ms
        return app
    except (SettingsError, EvictingServerError) as error:
        sys.exit(tell(error))


async def _check_redis(url: str) -> None:
    """Warn of a server that may lose jobs; one that is away may come later. Raises EvictingServerError."""
    try:
        found = await check_url(url)
        if not found.survives_power_cut:
            logger.warning("Acknowledged jobs may not survive a power cut: %s", found.reason)
    except RedisError as error:
        logger.warning("Redis is away (%s); /readyz tells when it is back", error)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    if not app.state.settings.hashes:
        logger.warning("No API_KEYS: open to this machine only, for loopback host names")
    with tell_of_stop(app.state.road.watcher.stop):
        yield
    await app.state.road.watcher.close()
    await app.state.road.redis.aclose()


def _read_version() -> str:
    try:
        return version("errand")
    except PackageNotFoundError:  # a platform's build installs the requirements and runs from the folder
        return "0"
