"""The API as an application to mount in another: built when its Errand starts, since keys may be set until then."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from errand.api.app import build_api
from errand.api.console.redirect import redirect_root
from errand.api.dashboard import mount as dashboard
from errand.api.http.problems import Problem
from errand.api.settings import ApiSettings
from errand.api.store import Store
from errand.contract.job import Job
from errand.redis.connection import Connector
from errand.redis.settings import read_settings
from errand.store.settings import LifetimeSettings

NOT_STARTED = "Errand is not started: the application that mounts it lacks lifespan=errand.lifespan"


class MountedApp:
    """An ASGI application; served by itself it starts its Errand, mounted it is started by `errand.lifespan`."""

    def __init__(self, lifespan: Callable[[Any], AbstractAsyncContextManager[None]]) -> None:
        self._lifespan = lifespan
        self._api: FastAPI | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "lifespan":
            await Router(lifespan=self._lifespan)(scope, receive, send)
        elif self._api is None:
            await Problem(503, "not-started", NOT_STARTED).render()(scope, receive, send)
        else:
            await self._api(scope, receive, send)

    def build(self, connector: Connector, types: dict[str, Job[..., Any]]) -> Store:
        """Build the API anew; return its store. Raises SettingsError."""
        settings = read_settings(ApiSettings, "the API")
        self._api = build_api(settings, LifetimeSettings(), types, connector)
        dashboard.mount(self._api, settings, "", connector)
        redirect_root(self._api)
        store: Store = self._api.state.store
        return store

    def drop(self) -> None:
        """Forget the API, whose store is closed."""
        self._api = None
