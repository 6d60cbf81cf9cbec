"""Queues and workers on the console."""

import pytest
from redis import Redis
from starlette.testclient import TestClient

from errand.redis import keys
from tests.api.console.test_pages import read
from tests.api.stored import Stored
from tests.api.test_failures import let_retry
from tests.support.job_types import TYPES


def post(client: TestClient, query: str = "") -> str:
    return str(client.post(f"/v1/jobs/log{query}", json=TYPES["log"].example).json()["id"])


def test_a_queue_leads_to_its_jobs_by_status_and_says_what_is_retried(client: TestClient, redis: Redis) -> None:
    post(client)
    let_retry(redis, post(client), error=("ValueError", "x"))
    post(client, f"?after={post(client)}")
    page = read(client, "/console/queues")
    assert 'href="/console/jobs?queue=log&amp;status=queued" aria-label="2 queued in log">2</a>' in page
    assert 'href="/console/jobs?queue=log&amp;status=deferred">1 deferred</a>' in page
    assert "newest error: ValueError" in page


def list_workers(client: TestClient) -> list[dict[str, object]]:
    return list(client.get("/v1/workers").json()["items"])


@pytest.mark.parametrize("path", ["/console/workers", "/console"])
def test_a_worker_of_ours_shows_how_many_it_runs_of_how_many(client: TestClient, redis: Redis, path: str) -> None:
    Stored(redis).started()
    (worker,) = list_workers(client)
    assert (worker["threads"], worker["silent"]) == (None, False)
    redis.hset(f"{keys.TYPES}{worker['name']}", mapping={keys.THREADS: 16, "log": "code"})
    assert list_workers(client)[0]["threads"] == 16
    assert "1 of 16" in read(client, path)


def test_a_worker_of_ours_that_is_not_heard_is_silent_and_a_plain_one_is_not(client: TestClient, redis: Redis) -> None:
    Stored(redis).started()
    name = list_workers(client)[0]["name"]
    redis.hset(f"{keys.WORKER}{name}", "last_heartbeat", "2026-01-01T00:00:00.000000Z")
    assert "is-lost" not in read(client, "/console/workers")
    redis.hset(f"{keys.TYPES}{name}", "log", "code")
    assert '<span class="pill is-lost">silent</span>' in read(client, "/console/workers")
    assert list_workers(client)[0]["silent"] is True
