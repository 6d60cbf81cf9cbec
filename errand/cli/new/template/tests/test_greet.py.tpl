"""The job by itself, and the service as its callers see it: `errand_jobs` keeps and runs what they post."""

from collections.abc import Iterator

import pytest
from errand import Progress
from errand.api.settings import ApiSettings
from errand.testing.jobs import JobsUnderTest
from fastapi.testclient import TestClient

from jobs import greet
from service.app import create_app


@pytest.fixture
def client(errand_jobs: JobsUnderTest) -> Iterator[TestClient]:
    """The service, on a server in this process."""
    jobs = errand_jobs
    app = create_app(ApiSettings(ERRAND_LOCAL=True), jobs.settings, jobs.types, jobs.connector)
    with TestClient(app, base_url="http://localhost") as client:
        yield client


def test_every_letter_is_reported() -> None:
    seen = Progress()
    assert greet.run("Ada", progress=seen) == "Hello, Ada!"
    assert seen.reports[-1][:2] == (3, 3)


def test_who_is_welcome_is_greeted(client: TestClient, errand_jobs: JobsUnderTest) -> None:
    id = client.post("/welcome/Ada").json()["job"]
    errand_jobs.drain()
    assert client.get(f"/v1/jobs/{id}").json()["result"] == "Hello, Ada!"
