"""This application: Errand's API, the tutorial's three endpoints, and rq-dashboard."""

from typing import Any

from fastapi import FastAPI

from errand import Job
from errand.api.app import build_api, guard
from errand.api.dashboard import mount as dashboard
from errand.api.settings import ApiSettings
from errand.api.start import start
from errand.redis.connection import Connector, UrlConnector
from errand.store.settings import QueueSettings
from service import tutorial


def create_app(
    settings: ApiSettings, queue: QueueSettings, types: dict[str, Job[..., Any]], connector: Connector | None = None
) -> FastAPI:
    """Build the application; nothing is sent to Redis before it starts. Raises SettingsError."""
    connector = connector or UrlConnector(queue.redis_url)
    app = build_api(settings, queue, types, connector)
    app.include_router(tutorial.hello)
    app.include_router(tutorial.router, dependencies=guard(settings))
    dashboard.mount(app, settings, queue.redis_url, connector)
    return app


def from_environment() -> FastAPI:
    """Build the application for uvicorn's `--factory`; ends the process with a plain text where it can't be built."""
    return start(create_app)
