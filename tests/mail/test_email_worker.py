"""The e-mail job through the API and a real worker process."""

import time

import pytest
from redis import Redis

from tests.support.services import Services
from tests.support.sinks import ScriptedSink
from tests.support.waiting import wait_until

MAIL = {"to": ["ada@example.com", "bo@example.com"], "subject": "Hello", "text": "It works."}


@pytest.mark.quick
def test_a_posted_mail_is_delivered_by_a_worker(services: Services, sink: ScriptedSink) -> None:
    services.start_api()
    services.start_worker()
    id = services.post("email", MAIL)
    job = services.wait_for(id)
    assert (job["status"], job["error"], job["attempts"]) == ("finished", None, 1)
    assert job["result"] == {
        "message_id": f"<{id}@example.com>",
        "recipients": {"ada@example.com": {"status": "sent"}, "bo@example.com": {"status": "sent"}},
        "refused": {},
    }
    assert (job["progress"]["percent"], job["progress"]["message"]) == (100, "sent")
    (mail,) = sink.mails
    assert mail.recipients == MAIL["to"]
    assert mail.message["Message-ID"] == f"<{id}@example.com>"


def come_due(redis: Redis, id: str) -> None:
    """Let the next try of a job be now."""
    redis.zadd("rq:scheduled:email", {id: time.time()}, xx=True)


def test_a_450_for_one_waits_with_its_error_and_the_retry_is_for_it_alone(
    services: Services, sink: ScriptedSink, redis: Redis
) -> None:
    sink.answers["bo@example.com"] = "450 try later"
    services.start_api()
    services.start_worker()
    id = services.post("email", MAIL)
    waiting = services.wait_for(id, "scheduled")
    assert waiting["run_at"]
    assert waiting["error"] == {
        "type": "UnfinishedError",
        "message": "1 of 2 recipients have it; bo@example.com: 450 try later",
    }
    assert [mail.recipients for mail in sink.mails] == [["ada@example.com"]]
    sink.answers.clear()
    come_due(redis, id)
    job = services.wait_for(id, timeout_seconds=60)
    assert (job["status"], job["error"], job["attempts"]) == ("finished", None, 2)
    assert job["result"]["recipients"] == {"ada@example.com": {"status": "sent"}, "bo@example.com": {"status": "sent"}}
    assert [mail.recipients for mail in sink.mails] == [["ada@example.com"], ["bo@example.com"]]
    assert len({str(mail.message["Message-ID"]) for mail in sink.mails}) == 1


def test_a_550_for_all_fails_at_once_and_spends_no_retries(services: Services, sink: ScriptedSink) -> None:
    sink.answers = dict.fromkeys(MAIL["to"], "550 no such user")
    services.start_api()
    services.start_worker()
    job = services.wait_for(services.post("email", MAIL))
    assert (job["status"], job["attempts"]) == ("failed", 1)
    assert job["error"]["type"] == "RefusedError"
    assert job["error"]["message"].startswith("every recipient was refused: ada@example.com: 550 no such user")


def test_a_mail_server_that_is_away_holds_the_mails_and_costs_none_a_try(
    services: Services, sink: ScriptedSink, redis: Redis
) -> None:
    sink.stop()
    services.start_api()
    services.start_worker()
    ids = [services.post("email", MAIL) for _ in range(3)]
    wait_until(lambda: redis.keys("errand:held:email:*"))
    (held,) = redis.keys("errand:held:email:*")
    assert b"refused" in redis.hget(held, "reason")
    sink.start()
    jobs = [services.wait_for(id, timeout_seconds=60) for id in ids]
    assert [(job["status"], job["attempts"], job["error"]) for job in jobs] == [("finished", 1, None)] * 3
    assert len(sink.mails) == 3


def test_who_waits_in_vain_is_given_up_when_the_hours_end(services: Services, sink: ScriptedSink) -> None:
    services.environment["MAIL_TRY_HOURS"] = "0.001"
    sink.answers["bo@example.com"] = "450 try later"
    services.start_api()
    services.start_worker()
    job = services.wait_for(services.post("email", MAIL), timeout_seconds=60)
    assert (job["status"], job["error"]) == ("finished", None)
    assert job["result"]["recipients"] == {
        "ada@example.com": {"status": "sent"},
        "bo@example.com": {"status": "gave_up", "reason": "450 try later"},
    }
