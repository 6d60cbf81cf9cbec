"""The API, put together."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import Depends, FastAPI, params
from fastapi_offline import FastAPIOffline

from errand.api.console.mount import mount as mount_console
from errand.api.http.auth import require_key, require_metrics_key
from errand.api.http.cors import allow_origins
from errand.api.http.loopback import LoopbackOnly
from errand.api.http.methods import HeadAsGet
from errand.api.http.openapi import Bodies, build_document
from errand.api.http.prefix import UnderPrefix
from errand.api.http.problems import add_handlers
from errand.api.http.query import refuse_unknown
from errand.api.http.unread import DrainUnread
from errand.api.lifespan import run_store
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
from errand.api.settings import ApiSettings
from errand.api.store import build_store
from errand.api.wrong_passwords import WrongPasswords
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
    app.state.wrong_passwords = WrongPasswords()
    bodies: Bodies = {}
    app.openapi = lambda: build_document(app, bodies)  # type: ignore[method-assign]
    add_handlers(app)
    _add_jobs_and_batches(app, settings, types, bodies)
    _add_routes(app, settings, bodies)
    mount_console(app, settings)
    _add_middleware(app, settings)
    return app


def _add_jobs_and_batches(app: FastAPI, settings: ApiSettings, types: dict[str, Job[..., Any]], bodies: Bodies) -> None:
    """Add what stores and reads jobs and batches: what is asked for most often comes first."""
    checks = [Depends(refuse_unknown), *guard(settings)]
    for router in (jobs.build_router(types, bodies, checks), batches.build_router(types, bodies, checks)):
        app.router.routes += router.routes  # those of an included router are looked through twice for each request


def _add_routes(app: FastAPI, settings: ApiSettings, bodies: Bodies) -> None:
    """Add all other routes, in the order of the document."""
    keyed = guard(settings)
    for router in (
        requeue.router,
        why.router,
        queues.router,
        workers.router,
        schedules.build_router(bodies),
        attempts.router,
        cancel.router,
        batch_list.router,
        batch_jobs.router,
        listing.router,
        dead_letters.router,
        failures.router,
        events.router,
        stats.router,
    ):
        app.include_router(router, dependencies=keyed)
    app.include_router(metrics.router, dependencies=[Depends(require_metrics_key)] if keyed else [])
    app.include_router(logs.router, dependencies=keyed)
    app.include_router(health.router)  # for whoever runs the process, without a key


def _add_middleware(app: FastAPI, settings: ApiSettings) -> None:
    """Add what each request passes before its route, from the inside out."""
    if settings.local:
        app.add_middleware(LoopbackOnly)
    app.add_middleware(UnderPrefix, routes=app.routes)
    app.add_middleware(HeadAsGet)
    app.add_middleware(DrainUnread)
    if settings.origins:
        allow_origins(app, settings.origins)


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
