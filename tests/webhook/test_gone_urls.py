"""A receiver that answers 410 or asks to wait: what becomes of this webhook, and of those after it."""

import logging
from typing import Any

import pytest
from starlette.testclient import TestClient

from errand.api.app import build_api
from errand.api.settings import ApiSettings
from errand.redis import keys
from errand.store.settings import QueueSettings
from errand.testing.jobs import JobsUnderTest

URL, OTHER = "https://example.com?token=t0ken", "https://example.com/other?token=t0ken"
DAY_SECONDS = 86_400


@pytest.fixture
def api(errand_jobs: JobsUnderTest) -> TestClient:
    settings = ApiSettings(ERRAND_LOCAL=True)
    app = build_api(settings, QueueSettings(), errand_jobs.types, errand_jobs.connector)
    return TestClient(app, base_url="http://localhost")


def post(api: TestClient, url: str = URL) -> str:
    answer = api.post("/v1/jobs/webhook", json={"url": url, "type": "invoice.paid"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def drain(jobs: JobsUnderTest, status: int, retry_after_seconds: float = 0.0) -> list[str]:
    """Run what is due against a receiver with these answers; return what became of the webhooks."""
    jobs.receiver.status, jobs.receiver.retry_after_seconds = status, retry_after_seconds
    return [ran.status for ran in jobs.drain(raise_errors=False) if ran.type == "webhook"]


def read(api: TestClient, id: str, path: str = "") -> dict[str, Any]:
    return dict(api.get(f"/v1/jobs/{id}{path}").json())


def test_after_410_nothing_more_is_sent_to_this_url_and_it_says_so(
    errand_jobs: JobsUnderTest, api: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        first = post(api)
        assert drain(errand_jobs, 410) == ["failed"]
        second = post(api)
        assert drain(errand_jobs, 204) == ["failed"]
    assert len(errand_jobs.webhooks) == 1
    assert read(api, first)["attempts"] == 1
    error = read(api, second)["error"]
    assert error["type"] == "GoneError"
    assert error["message"].startswith("example.com has answered 410 (Gone) at ")
    assert "requeue this webhook" in error["message"]
    assert read(api, second, "/why")["error"] == error
    (line,) = (record.getMessage() for record in caplog.records if record.name == "errand.jobs")
    assert line.startswith("example.com answered 410 (Gone)")
    assert "t0ken" not in caplog.text


def test_webhooks_of_jobs_stop_as_well(errand_jobs: JobsUnderTest, api: TestClient) -> None:
    post(api)
    drain(errand_jobs, 410)
    api.post("/v1/jobs/log", json={"text": "x"}, params={"webhook": URL})
    assert drain(errand_jobs, 204) == ["failed"]
    assert len(errand_jobs.webhooks) == 1


def test_those_that_wait_for_another_try_stop_too(errand_jobs: JobsUnderTest, api: TestClient) -> None:
    post(api)
    assert drain(errand_jobs, 500) == ["scheduled"]
    post(api)
    assert drain(errand_jobs, 410) == ["failed"]
    errand_jobs.advance(3600)
    assert drain(errand_jobs, 204) == ["failed"]


def test_another_url_of_the_same_host_goes_on(errand_jobs: JobsUnderTest, api: TestClient) -> None:
    post(api)
    drain(errand_jobs, 410)
    post(api, OTHER)
    assert drain(errand_jobs, 204) == ["finished"]


def test_it_lapses_after_a_week(errand_jobs: JobsUnderTest, api: TestClient) -> None:
    post(api)
    drain(errand_jobs, 410)
    errand_jobs.advance(keys.GONE_SECONDS - 60)
    post(api)
    assert drain(errand_jobs, 204) == ["failed"]
    errand_jobs.advance(61)
    post(api)
    assert drain(errand_jobs, 204) == ["finished"]


def test_a_webhook_that_is_requeued_is_tried_and_lifts_it_where_it_is_taken(
    errand_jobs: JobsUnderTest, api: TestClient
) -> None:
    id = post(api)
    drain(errand_jobs, 410)
    errand_jobs.advance(1)
    assert api.post(f"/v1/jobs/{id}/requeue").status_code == 202
    assert drain(errand_jobs, 204) == ["finished"]
    post(api)
    assert drain(errand_jobs, 204) == ["finished"]


def test_of_many_that_are_requeued_one_is_tried_while_it_answers_so(
    errand_jobs: JobsUnderTest, api: TestClient
) -> None:
    for _ in range(5):
        post(api)
    assert drain(errand_jobs, 410) == ["failed"] * 5
    assert len(errand_jobs.webhooks) == 1
    errand_jobs.advance(1)
    assert api.post("/v1/queues/webhook/requeue").status_code == 202
    assert drain(errand_jobs, 410) == ["failed"] * 5
    assert len(errand_jobs.webhooks) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_the_next_try_waits_as_long_as_it_was_asked(errand_jobs: JobsUnderTest, api: TestClient, status: int) -> None:
    id = post(api)
    assert drain(errand_jobs, status, DAY_SECONDS) == ["scheduled"]
    errand_jobs.advance(DAY_SECONDS - 60)
    assert drain(errand_jobs, 204) == []
    errand_jobs.advance(61)
    assert drain(errand_jobs, 204) == ["finished"]
    assert read(api, id)["attempts"] == 2
