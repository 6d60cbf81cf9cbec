"""A service of your own: the API of an Errand with docs and dashboard, and endpoints that you add."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI

from errand.api.app import build_api, guard
from errand.api.console.redirect import redirect_root
from errand.api.dashboard import mount as dashboard
from errand.api.settings import ApiSettings
from errand.api.start import start
from errand.app.errand import Errand
from errand.contract.job import Job
from errand.redis.connection import Connector, UrlConnector
from errand.store.settings import QueueSettings


class Service:
    """The API of an `Errand`, and routers beside it: `service/app.py` makes one.

    The endpoints of `routers` want a key where the API does, those of `open_routers` never do.
    """

    def __init__(
        self, errand: Errand, *, routers: Sequence[APIRouter] = (), open_routers: Sequence[APIRouter] = ()
    ) -> None:
        self._errand = errand
        self._routers = tuple(routers)
        self._open_routers = tuple(open_routers)

    def create_app(
        self,
        settings: ApiSettings,
        queue: QueueSettings,
        types: dict[str, Job[..., Any]],
        connector: Connector | None = None,
    ) -> FastAPI:
        """Build the application; nothing is sent to Redis before it starts. Raises SettingsError."""
        connector = connector or UrlConnector(queue.redis_url)
        app = build_api(settings, queue, types, connector)
        for router in self._open_routers:
            app.include_router(router)
        for router in self._routers:
            app.include_router(router, dependencies=guard(settings))
        dashboard.mount(app, settings, queue.redis_url, connector)
        redirect_root(app)
        return app

    def from_environment(self) -> FastAPI:
        """Build it for uvicorn's `--factory`. Ends the process with a plain text where it can't be built."""
        return start(self.create_app, lambda: self._errand.types, self._errand.own_redis_url)
