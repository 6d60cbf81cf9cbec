"""The tutorial's calls, as the tutorial prints them."""

from collections.abc import Iterator

import pytest
from redis import Redis
from starlette.testclient import TestClient

from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from tests.support.connectors import create_app
from tests.support.job_types import WITH_TUTORIAL
from tests.support.services import Services
from tests.support.sinks import ScriptedSink
from tests.support.waiting import wait_until


@pytest.fixture
def client(queue_settings: QueueSettings) -> Iterator[TestClient]:
    app = create_app(ApiSettings(ERRAND_LOCAL=True), queue_settings, WITH_TUTORIAL)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def test_the_root_says_hello(client: TestClient) -> None:
    assert client.get("/").json()["Hello"] == "World"


def test_a_notification_is_an_email_and_then_a_line(client: TestClient, redis: Redis) -> None:
    answer = client.post("/send-notification/ada@example.com?message=Hello")
    assert (answer.status_code, answer.json()["message"]) == (200, "Notification will be sent in the background")
    mail, line = (client.get(f"/v1/jobs/{id}").json() for id in answer.json()["jobs"])
    assert [(job["type"], job["status"]) for job in (mail, line)] == [("email", "queued"), ("log", "deferred")]


def test_an_item_is_processed_in_the_background(client: TestClient) -> None:
    answer = client.post("/items/7/process")
    assert (answer.status_code, answer.json()["message"]) == (200, "Processing for item 7 started in background.")
    assert client.get(f"/v1/jobs/{answer.json()['jobs'][0]}").json()["type"] == "item"


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/send-notification/ada?message=x", "email"),
        ("/send-notification/ada@example.com", "message"),
        ("/send-notification/ada@example.com?message=", "message"),
        ("/items/x/process", "item_id"),
        ("/items/99999999999999999999/process", "item_id"),
    ],
)
def test_bad_parameters_are_named(client: TestClient, redis: Redis, path: str, parameter: str) -> None:
    answer = client.post(path)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, parameter)
    assert redis.keys() == []


@pytest.mark.quick
def test_the_notification_arrives_and_the_line_is_written(services: Services, sink: ScriptedSink) -> None:
    services.start_api()
    services.start_worker()
    ids = services.call("POST", "/send-notification/ada@example.com?message=Hello").body["jobs"]
    assert services.wait_for(ids[1])["status"] == "finished"
    assert sink.mails[0].recipients == ["ada@example.com"]
    assert "Hello" in sink.mails[0].message.get_payload()
    log = services.environment["LOG_URL"].removeprefix("file:")
    with open(log) as file:
        assert file.read() == "Notification request received for ada@example.com\n"


def test_the_line_is_canceled_when_the_email_fails_for_good(services: Services, sink: ScriptedSink) -> None:
    sink.answers["ada@example.com"] = "550 no such user"
    services.start_api()
    services.start_worker()
    mail, line = services.call("POST", "/send-notification/ada@example.com?message=Hello").body["jobs"]
    assert services.wait_for(mail)["status"] == "failed"
    found = services.wait_for(line)
    assert (found["status"], mail in found["error"]["message"]) == ("canceled", True)


def test_the_line_waits_for_the_emails_retries(services: Services, sink: ScriptedSink) -> None:
    sink.answers["ada@example.com"] = "450 later"
    services.start_api()
    services.start_worker()
    mail, line = services.call("POST", "/send-notification/ada@example.com?message=Hello").body["jobs"]
    waiting = services.wait_for(mail, "scheduled")
    assert "450 later" in waiting["error"]["message"]
    assert waiting["run_at"] is not None
    assert services.read(line)["status"] == "deferred"
    sink.answers.clear()
    assert services.wait_for(line)["status"] == "finished"
    assert sink.refused
    assert services.read(mail)["attempts"] == len(sink.refused) + 1  # on a busy machine a second 450 may come first


def test_neither_the_address_nor_the_query_string_is_in_the_access_log(services: Services) -> None:
    services.start_api()
    services.call("POST", "/send-notification/ada@example.com?message=Confidential")
    (api,) = services.processes
    wait_until(lambda: "POST /send-notification/{email} HTTP" in services.read_log(api))
    assert "Confidential" not in services.read_log(api)
    assert "ada" not in services.read_log(api)


def test_a_message_that_no_mail_can_hold_is_refused(client: TestClient) -> None:
    answer = client.post("/send-notification/ada@example.com", params={"message": "a\0b"})
    assert (answer.status_code, answer.json()["errors"]) == (
        422,
        [{"parameter": "message", "detail": "it can't hold U+0000, which no e-mail can"}],
    )
