"""The e-mail job through the API and a real worker process."""

import pytest

from tests.services import Services
from tests.sink import ScriptedSink

MAIL = {"to": ["ada@example.com", "bo@example.com"], "subject": "Hello", "text": "It works."}


@pytest.mark.quick
def test_a_posted_mail_is_delivered_by_a_worker(services: Services, sink: ScriptedSink) -> None:
    services.start_api()
    services.start_worker()
    id = services.post("email", MAIL)
    job = services.wait_for(id)
    assert (job["status"], job["error"], job["attempts"]) == ("finished", None, 1)
    assert job["result"] == {"message_id": f"<{id}@example.com>", "refused": {}}
    assert (job["progress"]["percent"], job["progress"]["message"]) == (100, "sent")
    (mail,) = sink.mails
    assert mail.recipients == MAIL["to"]
    assert mail.message["Message-ID"] == f"<{id}@example.com>"


def test_a_450_waits_with_its_error_and_the_retry_delivers_once(services: Services, sink: ScriptedSink) -> None:
    sink.answers["bo@example.com"] = "450 try later"
    services.start_api()
    services.start_worker()
    id = services.post("email", MAIL)
    waiting = services.wait_for(id, "scheduled")
    assert waiting["run_at"]
    assert waiting["error"] == {"type": "DeliveryError", "message": "RCPT TO bo@example.com: 450 try later"}
    assert waiting["progress"]["message"] == "recipient 2 of 2"
    assert sink.mails == []
    sink.answers.clear()
    job = services.wait_for(id, timeout_seconds=60)
    assert (job["status"], job["error"], job["result"]["refused"]) == ("finished", None, {})
    assert job["attempts"] >= 2
    assert [mail.recipients for mail in sink.mails] == [MAIL["to"]]


def test_a_550_for_all_fails_at_once_and_spends_no_retries(services: Services, sink: ScriptedSink) -> None:
    sink.answers = dict.fromkeys(MAIL["to"], "550 no such user")
    services.start_api()
    services.start_worker()
    job = services.wait_for(services.post("email", MAIL))
    assert (job["status"], job["attempts"]) == ("failed", 1)
    assert job["error"]["type"] == "RefusedError"
    assert job["error"]["message"].startswith("every recipient was refused: ada@example.com: 550 no such user")
