"""A TCP connection that is open on one side only: nothing is heard on it, and no end of it either."""

import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from errand import Job
from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from service.app import create_app
from tests.support.proxies import Proxy
from tests.support.site import Site

DEAF_SECONDS = 15


@pytest.mark.slow
def test_a_worker_is_deaf_for_15_seconds_at_most(own_site: Site, proxy: Proxy) -> None:
    ledger = own_site.ledger
    worker = own_site.start_ready_worker(REDIS_URL=proxy.url)
    held = [own_site.post_noted(type, seconds=2) for type in ("ledger", "alone")]
    longer = own_site.post_noted(seconds=20)
    for job in (*held, longer):
        ledger.wait_for_start(job)
    assert proxy.deafen() >= 2
    deaf_since = time.monotonic()
    new = own_site.post_noted()
    ledger.wait_for_start(new, timeout_seconds=DEAF_SECONDS)
    for job in (*held, new):
        rest_seconds = DEAF_SECONDS - (time.monotonic() - deaf_since)
        assert own_site.wait_for(job, timeout_seconds=rest_seconds)["status"] == "finished"
        assert ledger.count(job) == (1, 1)
        assert own_site.count_results(job) == 1
    assert own_site.read(longer)["status"] == "started"
    assert own_site.read_counts(longer)["losses"] == 0
    assert worker.poll() is None


@pytest.mark.quick
def test_the_api_takes_jobs_again_within_15_seconds_each_once(
    own_site: Site, proxy: Proxy, types: dict[str, Job[..., Any]]
) -> None:
    app = create_app(ApiSettings(ERRAND_LOCAL=True), QueueSettings(REDIS_URL=proxy.url), types)
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/readyz").status_code == 200
        assert proxy.deafen() >= 1
        deaf_since = time.monotonic()
        while (answer := client.post("/v1/jobs/log", json={"text": "x"})).status_code != 202:
            assert answer.status_code == 503
            assert time.monotonic() - deaf_since < DEAF_SECONDS
    queued = own_site.list_queued("log")
    assert queued.count(answer.json()["id"]) == 1
    assert len(set(queued)) == len(queued)
