"""The API, put together."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import Depends, FastAPI, params
from fastapi_offline import FastAPIOffline

from errand.api.console.mount import mount
from errand.api.http.auth import require_key, require_metrics_key
from errand.api.http.cors import allow_origins
from errand.api.http.loopback import LoopbackOnly
from errand.api.http.methods import HeadAsGet
from errand.api.http.openapi import Bodies, build_document
from errand.api.http.prefix import UnderPrefix
from errand.api.http.problems import add_handlers
from errand.api.http.query import refuse_unknown
from errand.api.http.unread import DrainUnread
from errand.api.routes import (
    attempts,
    batch_jobs,
    batch_list,
    batches,
    cancel,
    dead_letters,
    events,
    failures,
    health,
    jobs,
    listing,
    logs,
    metrics,
    queues,
    requeue,
    schedules,
    stats,
    why,
    workers,
)
from errand.api.running import run_store
from errand.api.settings import ApiSettings
from errand.api.store import build_store
from errand.api.tries import Tries
from errand.contract.job import Job
from errand.redis.connection import Connector
from errand.store.settings import LifetimeSettings

logger = logging.getLogger("errand.api")

DESCRIPTION = "Post a job, a worker runs it, read its status. Each job type is a file in `jobs/`."


def build_api(
    settings: ApiSettings, queue: LifetimeSettings, types: dict[str, Job[..., Any]], connector: Connector
) -> FastAPI:
    """Build the application, whose clients of Redis `connector` makes; nothing is sent before it starts.

    Raises SettingsError.
    """
    settings.check()
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
    app.state.chores = []  # coroutine functions that run beside the requests; `start` adds those of a real server
    app.state.store = build_store(connector, queue, types)
    app.state.tries = Tries()
    bodies: Bodies = {}
    app.openapi = lambda: build_document(app, bodies)  # type: ignore[method-assign]
    add_handlers(app)
    keyed = guard(settings)
    checks = [Depends(refuse_unknown), *keyed]
    for router in (jobs.build_router(types, bodies, checks), batches.build_router(types, bodies, checks)):
        app.router.routes += router.routes  # those of an included router are looked through twice for each request
    app.include_router(requeue.router, dependencies=keyed)
    app.include_router(why.router, dependencies=keyed)
    app.include_router(queues.router, dependencies=keyed)
    app.include_router(workers.router, dependencies=keyed)
    app.include_router(schedules.build_router(bodies), dependencies=keyed)
    app.include_router(attempts.router, dependencies=keyed)
    app.include_router(cancel.router, dependencies=keyed)
    app.include_router(batch_list.router, dependencies=keyed)
    app.include_router(batch_jobs.router, dependencies=keyed)
    app.include_router(listing.router, dependencies=keyed)
    app.include_router(dead_letters.router, dependencies=keyed)
    app.include_router(failures.router, dependencies=keyed)
    app.include_router(events.router, dependencies=keyed)
    app.include_router(stats.router, dependencies=keyed)
    app.include_router(metrics.router, dependencies=[Depends(require_metrics_key)] if keyed else [])
    app.include_router(logs.router, dependencies=keyed)
    app.include_router(health.router)
    mount(app, settings)
    if settings.local:
        app.add_middleware(LoopbackOnly)
    app.add_middleware(UnderPrefix, routes=app.routes)
    app.add_middleware(HeadAsGet)
    app.add_middleware(DrainUnread)
    if settings.origins:
        allow_origins(app, settings.origins)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    if not app.state.settings.hashes:
        logger.warning("No API_KEYS: open to this machine only, for loopback host names")
    async with run_store(app.state.store, app.state.chores):
        yield


def guard(settings: ApiSettings) -> list[params.Depends]:
    """Return what asks for a key, for the routes that want one: nothing where no key is set."""
    return [Depends(require_key)] if settings.hashes else []


def _read_version() -> str:
    try:
        return version("rq-errand")
    except PackageNotFoundError:  # a platform's build installs the requirements and runs from the folder
        return "0"
