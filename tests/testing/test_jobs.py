"""`errand_jobs`: what a user's test does with jobs, and sees of them."""

import asyncio
import os
import time
import traceback
from typing import Any

import pytest
from starlette.testclient import TestClient

from errand import Errand
from errand.testing.drain import EndlessError
from errand.testing.jobs import JobsUnderTest
from errand.testing.mail import SentAttachment
from tests.testing import house
from tests.testing.conftest import Post

ADA = {"to": "Ada <ada@example.com>", "subject": "Hello", "text": "It works."}
HOOK = "https://example.com/hook"


def test_what_a_job_enqueues_runs_in_the_same_drain(errand_jobs: JobsUnderTest, post: Post) -> None:
    id = post("signup", {"email": "ada@example.com"})
    ran = errand_jobs.drain()
    assert ran[0].id == id
    assert [(one.type, one.status, one.attempt) for one in ran] == [
        ("signup", "finished", 1),
        ("email", "finished", 1),
        ("log", "finished", 1),
    ]
    assert errand_jobs.sent_mails[0].to == ["ada@example.com"]
    assert [(line.level, line.text) for line in errand_jobs.logs] == [("notice", "signed up")]


def test_what_was_stored_can_be_looked_at(errand_jobs: JobsUnderTest, post: Post) -> None:
    first, second = post("tally", {"number": 7}), post("broken", {})
    assert [job.id for job in errand_jobs.jobs] == [first, second]
    errand_jobs.drain(raise_errors=False)
    assert errand_jobs.find(first).payload == {"number": 7}
    assert errand_jobs.find(first).result == 7
    (failed,) = errand_jobs.select(status="failed")
    assert failed.error
    assert (failed.id, failed.error.type, failed.error.message) == (second, "PermanentError", "no such account")
    assert [job.id for job in errand_jobs.select(type="tally")] == [first]


def test_it_runs_what_the_application_stores_itself(errand_jobs: JobsUnderTest) -> None:
    id = house.TALLY.store_sync(7, delay_seconds=60)
    errand_jobs.advance(60)
    errand_jobs.drain()
    assert errand_jobs.find(id).result == 7


def test_each_errand_is_on_the_tests_server_until_the_test_ends(
    errand_jobs: JobsUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Errand("tests.app.shop.jobs")
    assert made.connector is house.errand.connector is errand_jobs.connector
    monkeypatch.undo()
    assert house.errand._connector is None
    assert made._connector is None


def test_looking_up_an_unknown_id_names_the_jobs_that_there_are(errand_jobs: JobsUnderTest, post: Post) -> None:
    id = post("tally", {"number": 7})
    with pytest.raises(LookupError, match=rf"there is no job x; there are: tally {id}"):
        errand_jobs.find("x")


def test_an_error_is_raised_where_the_job_raised_it_and_recorded_all_the_same(
    errand_jobs: JobsUnderTest, post: Post
) -> None:
    id = post("flaky", {"fails": 1})
    with pytest.raises(ConnectionError, match="the bank's server is away") as caught:
        errand_jobs.drain()
    assert "_flaky" in "".join(traceback.format_tb(caught.value.__traceback__))
    assert caught.value.__notes__ == [f"raised by job flaky {id}, which is scheduled now"]
    job = errand_jobs.find(id)
    assert (job.status, job.attempts, job.retries_left, job.progress.message) == ("scheduled", 1, 1, "half")


def test_a_retry_comes_when_its_wait_is_over(errand_jobs: JobsUnderTest, post: Post) -> None:
    id = post("flaky", {"fails": 1})
    (first,) = errand_jobs.drain(raise_errors=False)
    assert (first.status, type(first.error)) == ("scheduled", ConnectionError)
    assert errand_jobs.drain() == []
    errand_jobs.advance(60)
    (second,) = errand_jobs.drain()
    assert (second.attempt, second.status) == (2, "finished")
    assert errand_jobs.find(id).result == "paid"


def test_a_delayed_job_is_due_at_its_second_and_not_before(errand_jobs: JobsUnderTest, post: Post) -> None:
    for _ in range(3):  # time that has passed changes nothing
        post("tally", {"number": 7}, delay_seconds=60)
        errand_jobs.advance(59)
        assert errand_jobs.drain() == []
        errand_jobs.advance(1)
        assert [one.type for one in errand_jobs.drain()] == ["tally"]


def test_time_stands_still_meanwhile(errand_jobs: JobsUnderTest) -> None:
    before, began = errand_jobs.redis.time(), time.time()
    while time.time() - began < 0.01:
        pass
    assert errand_jobs.redis.time() == before
    errand_jobs.advance(2.5)
    assert errand_jobs.redis.time() == (before[0] + 2, 500_000)


def test_time_goes_forward_only(errand_jobs: JobsUnderTest) -> None:
    with pytest.raises(ValueError, match=r"advance\(-1\): time goes forward only"):
        errand_jobs.advance(-1)


def test_a_schedule_gives_a_job_for_its_occurrence(errand_jobs: JobsUnderTest) -> None:
    assert errand_jobs.drain() == []
    errand_jobs.advance(24 * 3600)
    assert [one.type for one in errand_jobs.drain()] == ["nightly"]


def test_a_job_expires_when_its_time_has_passed(errand_jobs: JobsUnderTest, post: Post) -> None:
    id = post("tally", {"number": 7}, expires_in_seconds=30)
    errand_jobs.advance(30)
    assert errand_jobs.drain() == []
    assert errand_jobs.find(id).status == "canceled"


def test_what_is_kept_for_a_time_is_gone_after_it(errand_jobs: JobsUnderTest, post: Post) -> None:
    post("tally", {"number": 7})
    errand_jobs.drain()
    errand_jobs.advance(errand_jobs.settings.result_ttl_seconds + 1)
    assert errand_jobs.jobs == []


def test_dependents_follow_and_a_webhook_reports_the_end(errand_jobs: JobsUnderTest, post: Post) -> None:
    first = post("tally", {"number": 7}, webhook=HOOK)
    post("tally", {"number": 8}, after=first)
    assert [one.type for one in errand_jobs.drain()] == ["tally", "tally", "webhook"]
    (sent,) = errand_jobs.webhooks
    assert (sent.url, sent.type, sent.data["id"], sent.data["result"]) == (HOOK, "job.finished", first, 7)
    assert sent.headers["webhook-signature"].startswith("v1,")


def test_the_end_of_a_batch_is_reported_to_its_webhook(errand_jobs: JobsUnderTest, api: TestClient) -> None:
    answer = api.post("/v1/batches/tally", json={"items": [{"number": 1}, {"number": 2}]}, params={"webhook": HOOK})
    assert answer.status_code == 202, answer.text
    errand_jobs.drain()
    assert [sent.type for sent in errand_jobs.webhooks] == ["batch.ended"]


def test_a_webhook_that_is_refused_is_tried_again(errand_jobs: JobsUnderTest, post: Post) -> None:
    post("webhook", {"url": HOOK, "type": "invoice.paid"})
    errand_jobs.receiver.status = 503
    (ran,) = errand_jobs.drain(raise_errors=False)
    assert (ran.status, str(ran.error)) == ("scheduled", "example.com answered 503")


def test_a_mail_is_shown_in_its_parts(errand_jobs: JobsUnderTest, post: Post) -> None:
    more = {
        "from": "Errand <errand@example.com>",
        "cc": "cyd@example.com",
        "bcc": "bob@example.com",
        "reply_to": "desk@example.com",
        "html": "<p>It works.</p>",
        "headers": {"X-Order": "7"},
        "attachments": [{"filename": "a.txt", "content": "aGk="}],
    }
    post("email", {**ADA, **more, "subject": "Grüße", "text": "It works.\nReally."})
    errand_jobs.drain()
    (mail,) = errand_jobs.sent_mails
    assert (mail.sender, mail.recipients) == (
        "errand@example.com",
        ["ada@example.com", "cyd@example.com", "bob@example.com"],
    )
    assert (mail.to, mail.cc, mail.bcc) == (["ada@example.com"], ["cyd@example.com"], ["bob@example.com"])
    assert (mail.reply_to, mail.subject) == (["desk@example.com"], "Grüße")
    assert (mail.text, mail.html) == ("It works.\nReally.", "<p>It works.</p>")
    assert mail.attachments == [SentAttachment("a.txt", "text/plain", b"hi")]
    assert (mail.headers["To"], mail.headers["X-Order"]) == ("Ada <ada@example.com>", "7")
    assert b"Message-ID: <" in mail.raw


def test_a_recipient_can_be_refused(errand_jobs: JobsUnderTest, post: Post) -> None:
    errand_jobs.mail.refuse("bob@example.com")
    id = post("email", {**ADA, "to": ["ada@example.com", "bob@example.com"]})
    errand_jobs.drain()
    assert errand_jobs.find(id).result["refused"] == {"bob@example.com": "550 5.1.1 no such user"}
    assert errand_jobs.sent_mails[0].recipients == ["ada@example.com"]


def test_a_mail_waits_while_the_mail_server_is_down(errand_jobs: JobsUnderTest, post: Post) -> None:
    id = post("email", ADA)
    errand_jobs.mail.is_down = True
    errand_jobs.drain(raise_errors=False)
    assert errand_jobs.find(id).status == "queued"
    assert errand_jobs.sent_mails == []
    errand_jobs.mail.is_down = False
    errand_jobs.advance(60)
    errand_jobs.drain()
    assert len(errand_jobs.sent_mails) == 1


def test_async_jobs_share_a_loop_and_see_what_the_test_has_set(errand_jobs: JobsUnderTest, post: Post) -> None:
    ids = [post("concurrent", {"name": name}) for name in ("Bob", "Cyd")]
    house.greeting.set("Ada")
    errand_jobs.drain()
    assert [errand_jobs.find(id).result for id in ids] == ["Ada greets Bob", "Ada greets Cyd"]
    assert len(house.loops) == 1


@pytest.mark.parametrize("way", ["drain", "drain_async"])
def test_it_works_in_an_async_test(errand_jobs: JobsUnderTest, post: Post, way: str) -> None:
    post("concurrent", {"name": "Bob"})

    async def test() -> list[Any]:
        return errand_jobs.drain() if way == "drain" else await errand_jobs.drain_async()

    assert [one.status for one in asyncio.run(test())] == ["finished"]


def test_jobs_without_end_are_ended(errand_jobs: JobsUnderTest, post: Post) -> None:
    post("endless", {})
    with pytest.raises(EndlessError, match=r"drain\(\) has run 5 jobs and there are more; drain\(most=50\)\?"):
        errand_jobs.drain(most=5)
    assert [job.status for job in errand_jobs.select("endless")].count("queued") == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, pytest.fail.Exception])
def test_an_error_that_is_the_tests_own_ends_the_test_and_costs_no_try(
    errand_jobs: JobsUnderTest, post: Post, error: type[BaseException]
) -> None:
    def end() -> None:
        raise error

    house.STANDS_FOR["x"] = end
    id = post("calls_test", {"name": "x"})
    with pytest.raises(error):
        errand_jobs.drain(raise_errors=False)
    assert errand_jobs.find(id).status == "queued"
    assert errand_jobs.find(id).retries_left == 1


@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError])
def test_an_error_that_ends_the_job_alone_is_its_failure(
    errand_jobs: JobsUnderTest, post: Post, error: type[BaseException]
) -> None:
    def end() -> None:
        raise error

    house.STANDS_FOR["x"] = end
    post("calls_test", {"name": "x"})
    (ran,) = errand_jobs.drain(raise_errors=False)
    assert ran.status == "scheduled"


@pytest.mark.parametrize("number", [1, 2])
def test_each_test_begins_with_an_empty_server(errand_jobs: JobsUnderTest, post: Post, number: int) -> None:
    assert errand_jobs.jobs == []
    post("tally", {"number": number})
    errand_jobs.advance(1)


def test_its_environment_has_no_server_of_the_users(errand_jobs: JobsUnderTest) -> None:
    assert os.environ["REDIS_URL"] == "redis://errand-jobs.invalid:6379/0"
    assert os.environ["MAIL_FROM"] == "Errand <errand@example.com>"
