"""Sentry, set up by the two lines of docs/operations.md: it hears of each failed job, once."""

import gzip
import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.support.ledgers import Ledger
from tests.support.receivers import Receiver
from tests.support.site import Site, Worker
from tests.support.waiting import wait_until

CONFIG = """
import os
import sentry_sdk

sentry_sdk.init(dsn=os.environ["SENTRY_DSN"])
from worker import QUEUES, REDIS_URL, Worker
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver(200)
    yield receiver
    receiver.stop()


def start_watched_worker(site: Site, receiver: Receiver, *options: str, **environment: str) -> Worker:
    (site.project / "watched_worker.py").write_text(CONFIG)
    dsn = f"http://key@127.0.0.1:{receiver.port}/1"
    rq = [sys.executable, "-m", "rq.cli", "worker", "-c", "watched_worker", "-w", "watched_worker.Worker"]
    return site.run(*rq, *options, SENTRY_DSN=dsn, **environment)


def list_events(receiver: Receiver) -> list[dict[str, Any]]:
    """Return the events among the envelopes that came (develop.sentry.dev/sdk/foundations/envelopes)."""
    events = []
    for received in receiver.received:
        packed = received.headers.get("Content-Encoding") == "gzip"
        lines = (gzip.decompress(received.body) if packed else received.body).splitlines()
        for head, item in pairwise(lines):
            if head.startswith(b"{") and json.loads(head).get("type") == "event":
                events.append(json.loads(item))
    return events


def list_types(events: list[dict[str, Any]]) -> list[str]:
    return [event["exception"]["values"][-1]["type"] for event in events]


@pytest.mark.quick("ledger")
@pytest.mark.parametrize("type", ["ledger", "alone"])
def test_a_job_that_fails_after_its_tries_is_one_event(site: Site, receiver: Receiver, type: str) -> None:
    worker = start_watched_worker(site, receiver)
    job = site.post_noted(type, then="fail")
    found = site.wait_for(job)
    assert (found["status"], found["attempts"]) == ("failed", 3)
    assert site.end(worker) == 0
    (event,) = list_events(receiver)
    assert (list_types([event]), event["level"], event["logger"]) == (["ValueError"], "error", "errand.worker")
    assert {name: event["extra"][name] for name in ("job_id", "job_type", "queue")} == {
        "job_id": job,
        "job_type": type,
        "queue": "default",
    }


@pytest.mark.parametrize("type", ["tagged", "tagged_alone", "tagged_async"])
def test_the_last_event_of_a_process_is_sent_and_has_what_the_job_set(
    site: Site, receiver: Receiver, type: str
) -> None:
    for number in range(3):
        site.post(type, {"customer": f"c{number}"})
    worker = start_watched_worker(site, receiver, "--burst")
    assert worker.wait(20) == 0
    events = list_events(receiver)
    sent = sorted((event["tags"]["customer"], event["exception"]["values"][-1]["value"]) for event in events)
    assert sent == [(f"c{number}", f"nothing for c{number}") for number in range(3)]


def test_a_stopped_job_is_no_event(site: Site, receiver: Receiver, ledger: Ledger) -> None:
    worker = start_watched_worker(site, receiver)
    jobs = [site.post_noted(type, seconds=20) for type in ("ledger", "alone")]
    for job in jobs:
        ledger.wait_for_start(job)
        site.call("POST", f"/v1/jobs/{job}/cancel")
        assert site.wait_for(job)["status"] in ("canceled", "stopped")
    assert site.end(worker) == 0
    assert list_events(receiver) == []


@pytest.mark.slow
@pytest.mark.parametrize(("type", "then"), [("brief", ""), ("brief", "block"), ("brief_alone", "block")])
def test_a_job_that_times_out_for_good_is_one_event(site: Site, receiver: Receiver, type: str, then: str) -> None:
    worker = start_watched_worker(site, receiver, WORKER_GRACE_SECONDS="1")
    job = site.post_noted(type, seconds=60, then=then)
    assert site.wait_for(job, "failed", timeout_seconds=40)["error"]["type"] == "JobTimeoutException"
    site.end(worker)
    (event,) = list_events(receiver)
    assert "JobTimeoutException" in event["logentry"]["formatted"]
    assert event["extra"]["job_id"] == job


@pytest.mark.slow
def test_a_job_that_is_lost_too_often_is_one_event(site: Site, receiver: Receiver) -> None:
    start_watched_worker(site, receiver)
    job = site.post_noted("alone", then="kill")
    assert site.wait_for(job)["error"]["type"] == "Lost"
    (event,) = wait_until(lambda: list_events(receiver))
    assert job in event["logentry"]["formatted"]
