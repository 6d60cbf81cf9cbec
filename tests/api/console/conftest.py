"""The console over a fake server, as a browser reads it without its scripts."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import count

import pytest
from fastapi import FastAPI
from httpx2 import Response
from redis import Redis
from starlette.testclient import TestClient

from errand.api.http.auth import make_key
from errand.api.settings import ApiSettings
from errand.api.store import build_store
from errand.store.settings import QueueSettings
from tests.api.stored import Stored
from tests.support.connectors import build_connector, create_app
from tests.support.job_types import TYPES

_, ENTRY = make_key("ops")
FULL, READ = "a password that may change", "a password that may read"
NUMBERS = count(1)
OURS = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def stored(redis: Redis) -> Stored:
    return Stored(redis)


@pytest.fixture
def post(client: TestClient) -> Callable[..., str]:
    """Posts a job and returns its id."""

    def post(type: str = "log", query: str = "", **payload: object) -> str:
        answer = client.post(f"/v1/jobs/{type}?{query}".removesuffix("?"), json=payload or {"text": "x"})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    return post


@pytest.fixture(scope="session")
def build_guarded() -> Callable[[str], FastAPI]:
    """Builds the API with keys and both passwords, once for each server."""
    settings = ApiSettings(API_KEYS=ENTRY, DASHBOARD_PASSWORD=FULL, CONSOLE_READ_PASSWORD=READ, SECRET_KEY="secret")
    return cache(lambda url: create_app(settings, QueueSettings(REDIS_URL=url), TYPES))


@pytest.fixture
def guarded(build_guarded: Callable[[str], FastAPI], queue_settings: QueueSettings) -> Iterator[TestClient]:
    """The console as in production: over https, with both passwords; each test has an address of its own."""
    app = build_guarded(queue_settings.redis_url)
    app.state.store = build_store(build_connector(queue_settings.redis_url), queue_settings, app.state.store.types)
    address = f"192.0.2.{next(NUMBERS)}"
    with TestClient(app, "https://errand.example.com", follow_redirects=False, client=(address, 1)) as client:
        yield client


def sign_in(client: TestClient, password: str = FULL, **fields: str) -> Response:
    return client.post("/console/login", data={"password": password, **fields}, headers=OURS)
