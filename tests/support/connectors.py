"""Clients and applications for a URL, which may be that of the fake server of this test process."""

from typing import Any

from fastapi import FastAPI
from redis.asyncio import Redis as AsyncRedis

from errand import Job
from errand.api.settings import ApiSettings
from errand.redis.connection import API, Connector, UrlConnector
from errand.store.settings import QueueSettings
from errand.testing.redis import FakeConnector
from service import app

FAKE_URL = "redis://fake.invalid"
FAKE = FakeConnector()


def build_connector(url: str) -> Connector:
    """Return what makes clients of that server."""
    return FAKE if url == FAKE_URL else UrlConnector(url)


def connect(url: str) -> AsyncRedis:
    """Do as `errand.redis.connection.connect` does."""
    return build_connector(url).connect_async(API)


def create_app(settings: ApiSettings, queue: QueueSettings, types: dict[str, Job[..., Any]]) -> FastAPI:
    """Do as `service.app.create_app` does."""
    return app.create_app(settings, queue, types, build_connector(queue.redis_url))
