"""Webhooks, from the POST to the receiver."""

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient

from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from tests.support.connectors import create_app
from tests.support.job_types import TYPES
from tests.support.receivers import CERTIFICATE, OTHER_SECRET, SECRET, Received, Receiver, list_valid
from tests.support.services import Services
from tests.support.waiting import wait_until

TEXT = {"text": "x"}
FAILING = {"ledger": "/dev/null", "permanent": True, "succeed_at": -1}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver(tls=True)
    yield receiver
    receiver.stop()


@pytest.fixture
def signed(services: Services) -> Services:
    """Processes that may call this machine, sign, and trust the receiver's certificate."""
    services.environment |= {"WEBHOOK_SECRETS": SECRET, "WEBHOOK_ALLOW_PRIVATE": "1", "SSL_CERT_FILE": str(CERTIFICATE)}
    return services


def start(services: Services, **environment: str) -> Services:
    """Start the API and a worker."""
    services.start_api(**environment)
    services.start_worker(**environment)
    return services


def wait_for(receiver: Receiver, count: int = 1) -> list[Received]:
    """Return what came, once so much has."""
    wait_until(lambda: len(receiver.received) >= count)
    return receiver.received


def post_batch(services: Services, type: str, items: list[Any], url: str) -> str:
    """Post a batch with a webhook; return its id."""
    answer = services.call("POST", f"/v1/batches/{type}?webhook={quote(url)}", {"items": items})
    assert answer.status == 202, answer
    return str(answer.body["id"])


def quote(url: str) -> str:
    """Return a URL as a query may hold it."""
    return url.replace("?", "%3F").replace("=", "%3D")


@pytest.mark.quick
def test_a_finished_job_is_reported_with_its_result_signed_and_under_a_stable_id(
    signed: Services, receiver: Receiver
) -> None:
    start(signed)
    id = signed.post("echo", {"value": {"n": [1, None]}}, f"?webhook={quote(receiver.url)}&tag=a&tag=b")
    job = signed.wait_for(id)
    (received,) = wait_for(receiver)
    assert received.path == "/hooks?token=t0ken"
    assert list_valid(received, SECRET, OTHER_SECRET) == [SECRET]
    event = received.json
    assert (event["type"], event["timestamp"]) == ("job.finished", job["ended_at"])
    same = ("id", "type", "queue", "status", "attempts", "created_at", "started_at", "ended_at", "result", "tags")
    assert event["data"] == {name: job[name] for name in same}
    sent = signed.wait_for(received.headers["webhook-id"])
    assert (sent["type"], sent["queue"], sent["result"]) == ("webhook", "webhook", {"status": 204})


def test_a_failed_job_is_reported_once_with_its_error(signed: Services, receiver: Receiver) -> None:
    start(signed)
    id = signed.post("fail", FAILING, f"?webhook={quote(receiver.url)}")
    job = signed.wait_for(id)
    (received,) = wait_for(receiver)
    assert received.json["type"] == "job.failed"
    assert received.json["data"]["error"] == job["error"]
    assert "result" not in received.json["data"]


def test_a_requeued_job_is_reported_again_under_another_id(signed: Services, receiver: Receiver) -> None:
    start(signed)
    id = signed.post("fail", FAILING, f"?webhook={quote(receiver.url)}")
    wait_for(receiver)
    assert signed.call("POST", f"/v1/jobs/{id}/requeue").status == 202
    first, second = wait_for(receiver, 2)
    assert first.headers["webhook-id"] != second.headers["webhook-id"]


def test_a_job_canceled_over_http_is_reported_with_those_that_go_with_it(signed: Services, receiver: Receiver) -> None:
    start(signed)
    hook = f"webhook={quote(receiver.url)}"
    head = signed.post("log", TEXT, f"?delay_seconds=3600&{hook}")
    child = signed.post("log", TEXT, f"?after={head}&{hook}")
    assert signed.call("POST", f"/v1/jobs/{head}/cancel").body["status"] == "canceled"
    reported = {received.json["data"]["id"]: received.json for received in wait_for(receiver, 2)}
    assert {event["type"] for event in reported.values()} == {"job.canceled"}
    assert reported.keys() == {head, child}
    assert head in reported[child]["data"]["error"]["message"]


def test_the_cancellation_of_a_failed_jobs_dependents_is_reported(signed: Services, receiver: Receiver) -> None:
    start(signed)
    parent = signed.post("fail", FAILING, "?delay_seconds=1")
    child = signed.post("log", TEXT, f"?after={parent}&webhook={quote(receiver.url)}")
    (received,) = wait_for(receiver)
    assert (received.json["type"], received.json["data"]["id"]) == ("job.canceled", child)


def test_a_stopped_job_is_reported(signed: Services, receiver: Receiver) -> None:
    start(signed)
    id = signed.post("sleep", {"seconds": 60}, f"?webhook={quote(receiver.url)}")
    signed.wait_for(id, "started")
    signed.call("POST", f"/v1/jobs/{id}/cancel")
    (received,) = wait_for(receiver)
    assert received.json["type"] == "job.stopped"


def test_a_batch_is_reported_once_when_its_last_job_has_ended(signed: Services, receiver: Receiver) -> None:
    start(signed)
    batch = post_batch(signed, "echo", [{"value": number} for number in range(150)], receiver.url)
    (received,) = wait_for(receiver)
    event = received.json
    assert event["type"] == "batch.ended"
    counts = {"total": 150, "finished": 150, "failed": 0, "canceled": 0, "stopped": 0, "deleted": 0}
    reported = {"id": batch, "type": "echo", **counts}
    assert {name: event["data"][name] for name in reported} == reported
    assert event["data"].keys() - reported.keys() == {"created_at", "ended_at"}
    found = signed.call("GET", f"/v1/batches/{batch}").body
    assert (found["total"], found["percent"], found["created_at"]) == (150, 100, event["data"]["created_at"])
    signed.wait_for(received.headers["webhook-id"])
    assert len(receiver.received) == 1


def test_a_batch_whose_last_job_is_deleted_is_reported(signed: Services, receiver: Receiver) -> None:
    signed.start_api()
    query = f"?webhook={quote(receiver.url)}&delay_seconds=3600"
    jobs = signed.call("POST", f"/v1/batches/log{query}", {"items": [TEXT, TEXT]}).body["jobs"]
    signed.call("POST", f"/v1/jobs/{jobs[0]['id']}/cancel")
    assert signed.call("DELETE", f"/v1/jobs/{jobs[1]['id']}").status == 204
    assert signed.call("DELETE", f"/v1/jobs/{jobs[0]['id']}").status == 204  # its end is known already
    signed.start_worker()
    (received,) = wait_for(receiver)
    data = received.json["data"]
    assert (data["canceled"], data["deleted"], data["total"]) == (1, 1, 2)
    signed.wait_for(received.headers["webhook-id"])
    assert len(receiver.received) == 1


def test_the_setting_reports_every_job_and_batch_but_no_webhook(
    signed: Services, receiver: Receiver, redis: Redis
) -> None:
    start(signed, WEBHOOK_URL=receiver.url)
    parent = signed.post("parent", {"value": "x"})  # it enqueues another one itself
    batch = signed.call("POST", "/v1/batches/echo", {"items": [{}, {}]}).body
    reported = [received.json for received in wait_for(receiver, 5)]
    ids = [event["data"]["id"] for event in reported]
    assert sorted(event["type"] for event in reported) == ["batch.ended"] + 4 * ["job.finished"]
    assert {parent, batch["id"], *(job["id"] for job in batch["jobs"])} < set(ids)
    assert {event["data"]["batch"] for event in reported if "batch" in event["data"]} == {batch["id"]}
    wait_until(lambda: redis.zcard("rq:finished:webhook") == 5)
    assert len(receiver.received) == redis.zcard("errand:index:webhook:webhook") == 5


def test_a_webhook_that_fails_is_tried_again_under_its_id_and_shown(signed: Services) -> None:
    receiver = Receiver(500, 204, tls=True)
    start(signed)
    signed.post("echo", {}, f"?webhook={quote(receiver.url)}")
    first, second = wait_for(receiver, 2)
    receiver.stop()
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert signed.wait_for(first.headers["webhook-id"])["attempts"] == 2


def test_neither_the_token_nor_the_secret_is_in_a_log(signed: Services) -> None:
    receiver = Receiver(410, tls=True)
    start(signed)
    signed.post("echo", {}, f"?webhook={quote(receiver.url)}")
    (received,) = wait_for(receiver)
    receiver.stop()
    job = signed.wait_for(received.headers["webhook-id"])
    assert "answered 410" in job["error"]["message"]
    said = str(job) + "".join(map(signed.read_log, signed.processes))
    assert job["id"] in said
    assert "t0ken" not in said
    assert SECRET not in said


def build_client(settings: QueueSettings) -> TestClient:
    """Return the API in this process, with the settings of the environment as it now is."""
    app = create_app(ApiSettings(ERRAND_LOCAL=True), settings, TYPES)
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


@pytest.mark.parametrize("path", ["jobs/log", "batches/log"])
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com/", "write https://"),
        ("https:///path", "no host"),
        ("https://ada:pw@example.com/", "user or a password"),
        ("https://127.0.0.1/", "no public address"),
        ("https://[::1]/", "no public address"),
        ("https://example.com/ä", "punycode"),
        ("", "at most 2000 characters"),
    ],
)
def test_a_url_that_can_be_no_webhook_is_a_422(
    queue_settings: QueueSettings, monkeypatch: pytest.MonkeyPatch, redis: Redis, path: str, url: str, why: str
) -> None:
    monkeypatch.setenv("WEBHOOK_SECRETS", SECRET)
    body = TEXT if path.startswith("jobs") else {"items": [TEXT]}
    with build_client(queue_settings) as client:
        answer = client.post(f"/v1/{path}", params={"webhook": url}, json=body)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["parameter"] == "webhook"
    assert why in error["detail"]
    assert redis.keys() == []


def test_a_webhook_without_a_secret_is_a_422_that_says_what_to_set(client: TestClient) -> None:
    answer = client.post("/v1/jobs/log", params={"webhook": "https://example.com/"}, json=TEXT)
    assert answer.status_code == 422
    assert "WEBHOOK_SECRETS is not set" in answer.json()["errors"][0]["detail"]


def test_a_webhook_may_be_posted_like_any_job(queue_settings: QueueSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRETS", SECRET)
    with build_client(queue_settings) as client:
        good = client.post("/v1/jobs/webhook", json={"url": "https://example.com/", "type": "invoice.paid"})
        bad = client.post("/v1/jobs/webhook", json={"url": "https://10.0.0.1/", "type": "invoice paid"})
    assert good.status_code == 202
    assert [error["pointer"] for error in bad.json()["errors"]] == ["#/url", "#/type"]
