"""An API over the server of `errand_jobs`."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from errand.api.app import build_api
from errand.api.settings import ApiSettings
from errand.api.store import build_store
from errand.store.settings import QueueSettings
from errand.testing.jobs import JobsUnderTest
from tests.testing import house

Post = Callable[..., str]


@cache
def build() -> FastAPI:
    """Build the API once: that takes longer than a test."""
    return build_api(ApiSettings(ERRAND_LOCAL=True), QueueSettings(), house.errand.types, house.errand.connector)


@pytest.fixture
def api(errand_jobs: JobsUnderTest) -> Iterator[TestClient]:
    app = build()
    app.state.store = build_store(errand_jobs.connector, errand_jobs.settings, errand_jobs.types)
    with TestClient(app, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def post(api: TestClient) -> Post:
    """Posts a job; returns its id."""

    def post(type: str, payload: dict[str, Any], **options: Any) -> str:
        answer = api.post(f"/v1/jobs/{type}", json=payload, params=options)
        assert answer.status_code == 202, answer.text
        id: str = answer.json()["id"]
        return id

    return post


@pytest.fixture(autouse=True)
def _forget() -> None:
    house.calls.clear()
    house.loops.clear()
    house.STANDS_FOR.clear()
