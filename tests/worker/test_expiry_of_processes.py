"""Jobs that expire, with an API and workers as they are run."""

import time
from datetime import datetime
from typing import Any

import pytest

from tests.support.services import Services
from tests.support.waiting import wait_until


def wait_for_expiry(services: Services, id: str) -> None:
    expires_at = datetime.fromisoformat(services.read(id)["expires_at"]).timestamp()
    wait_until(lambda: time.time() > expires_at)


@pytest.mark.quick
def test_a_worker_cancels_it_in_a_queue_that_nobody_serves(services: Services) -> None:
    services.start_api()
    worker = services.start_worker("email")
    id = services.post("echo", {"value": 1}, "?expires_in_seconds=1")
    job = services.wait_for(id, "canceled")
    assert job["error"] == {"type": "Expired", "message": f"it had not started by {job['expires_at']}"}
    assert job["attempts"] == 0
    wait_until(lambda: "Queue default: 1 of echo expired and are canceled" in services.read_log(worker))


def test_without_a_worker_it_waits_and_is_canceled_when_one_comes(services: Services) -> None:
    services.start_api()
    id = services.post("echo", {"value": 1}, "?expires_in_seconds=1")
    wait_for_expiry(services, id)
    assert services.read(id)["status"] == "queued"
    services.start_worker()
    assert services.wait_for(id, "canceled")["attempts"] == 0


@pytest.mark.parametrize("type", ["echo", "email"])
def test_a_plain_worker_fails_it_without_running_it(services: Services, sink: Any, type: str) -> None:
    payload = {"value": 1} if type == "echo" else {"to": "ada@example.com", "subject": "Code", "text": "1234"}
    services.start_api()
    id = services.post(type, payload, "?expires_in_seconds=1")
    wait_for_expiry(services, id)
    services.start_plain_worker("--burst")
    job = services.wait_for(id, "failed")
    assert (job["error"]["type"], job["attempts"]) == ("Expired", 1)
    assert sink.mails == []
