"""The console over a fake server, as a browser reads it without its scripts."""

from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from starlette.testclient import TestClient

from errand.api.http.auth import make_key
from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from tests.api.stored import Stored
from tests.connecting import create_app
from tests.job_types import TYPES

_, ENTRY = make_key("ops")
FULL, READ = "a password that may change", "a password that may read"
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


@pytest.fixture
def guarded(queue_settings: QueueSettings) -> Iterator[TestClient]:
    """The console as in production: over https, with both passwords."""
    settings = ApiSettings(API_KEYS=ENTRY, DASHBOARD_PASSWORD=FULL, CONSOLE_READ_PASSWORD=READ, SECRET_KEY="secret")
    app = create_app(settings, queue_settings, TYPES)
    with TestClient(app, base_url="https://errand.example.com", follow_redirects=False) as client:
        yield client


def sign_in(client: TestClient, password: str = FULL, **fields: str) -> object:
    return client.post("/console/login", data={"password": password, **fields}, headers=OURS)
