"""One e-mail job, run more than once: the mail goes out once wherever that can be known."""

import os
import signal
import socket
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue

from errand.mail.ledger import KEPT_SECONDS, UnknownDeliveryError
from errand.mail.smtp import connection as _smtp
from jobs import email
from tests.mail.rerun import (
    ADA,
    BO,
    MAIL,
    die_once,
    error_of,
    hand_back,
    key_of,
    message_ids,
    notes,
    requeue,
    run_beside,
)
from tests.support.job_fixtures import Perform
from tests.support.services import Services
from tests.support.sinks import RawServer, ScriptedSink
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def _settings(sink: ScriptedSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", sink.url)
    monkeypatch.setenv("MAIL_FROM", "errand@example.com")


@pytest.fixture
def dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run ends between the server's answer and the note of it."""
    die_once(monkeypatch)


def test_a_second_run_returns_the_first_result_without_a_conversation(
    sink: ScriptedSink, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.answers[BO] = "550 no such user"
    job = perform("email", MAIL)
    first = job.return_value()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setenv("SMTP_URL", f"smtp://127.0.0.1:{closed.getsockname()[1]}")
    hand_back(redis, job)
    assert (job.get_status(), job.return_value()) == ("finished", first)
    assert first == {
        "message_id": f"<{job.id}@example.com>",
        "recipients": {ADA: {"status": "sent"}, BO: {"status": "refused", "reason": "550 no such user"}},
        "refused": {BO: "550 no such user"},
    }
    assert len(sink.mails) == 1


def test_outside_a_job_nothing_is_kept(sink: ScriptedSink, redis: Redis) -> None:
    email.run(email.Message(**MAIL["message"]))
    assert (len(sink.mails), notes(redis)) == (1, [])


def test_sending_is_noted_after_the_recipients_and_sent_after_the_answer(
    sink: ScriptedSink, redis: Redis, perform: Perform
) -> None:
    seen: dict[str, list[bytes]] = {}
    sink.watch = lambda step: seen.update({step: notes(redis)})
    perform("email", MAIL)
    assert seen == {"MAIL": [], ADA: [], BO: [], "DATA": [b"sending"], "taken": [b"sending"]}
    assert notes(redis) == [b"sent"]


@pytest.mark.parametrize("forgotten", [False, True], ids=["kept", "forgotten by a fail-over"])
def test_both_are_kept_for_30_days(sink: ScriptedSink, redis: Redis, perform: Perform, forgotten: bool) -> None:
    times: list[int] = []

    def watch(step: str) -> None:
        times.extend(redis.ttl(key) for key in redis.keys("errand:mail:*"))
        if step == "taken" and forgotten:
            redis.delete(*redis.keys("errand:mail:*"))

    sink.watch = watch
    job = perform("email", MAIL)
    times.append(redis.ttl(key_of(job)))
    assert len(times) == 3
    assert all(KEPT_SECONDS - 60 < seconds <= KEPT_SECONDS == 30 * 86400 for seconds in times)


@pytest.mark.parametrize(
    ("answers", "left"),
    [
        ({"MAIL": ""}, []),
        ({"RCPT": ""}, []),
        ({"DATA": "451 no room"}, []),
        ({"DATA": "554 no"}, []),
        ({"DATA": "250 what"}, []),
        ({"DATA": "hello"}, []),
        ({"DATA": ""}, []),
        ({".": "451 try later"}, []),
        ({".": "421 closing"}, []),
        ({".": "554 spam"}, []),
        ({".": ""}, [b"sending"]),
        ({".": "hello"}, [b"sending"]),
        ({".": "354 more"}, [b"sending"]),
    ],
)
def test_only_a_message_without_a_definite_answer_stays_unknown(
    monkeypatch: pytest.MonkeyPatch, redis: Redis, perform: Perform, answers: dict[str, str], left: list[bytes]
) -> None:
    with RawServer(**answers) as server:
        monkeypatch.setenv("SMTP_URL", server.url)
        job = perform("email", MAIL)
    assert (job.get_status(), notes(redis)) == ("failed", left)


def test_a_server_that_never_answers_the_message_leaves_it_unknown(
    sink: ScriptedSink, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_smtp, "TIMEOUT_SECONDS", 0.2)
    sink.hang = "DATA"
    perform("email", MAIL)
    assert notes(redis) == [b"sending"]


@pytest.mark.usefixtures("dies")
def test_what_is_unknown_is_sent_again_with_the_same_message_id(
    sink: ScriptedSink, redis: Redis, perform: Perform
) -> None:
    job = perform("email", MAIL, tries=2)
    assert job.get_status() == "finished"
    assert message_ids(sink) == [f"<{job.id}@example.com>"] * 2
    assert notes(redis) == [b"sent"]


@pytest.mark.usefixtures("dies")
def test_with_fail_what_is_unknown_fails_for_good_and_says_what_to_do(
    sink: ScriptedSink, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_ON_UNKNOWN", "fail")
    job = perform("email", MAIL, tries=5)
    assert (job.get_status(), len(sink.mails)) == ("failed", 1)
    assert redis.hget(job.key, "errand_attempts") == b"2"
    error = error_of(redis, job)
    assert '"UnknownDeliveryError"' in error
    assert "it can't be known whether this mail went out" in error
    assert f"Look for Message-ID <{job.id}@example.com> in the mail server's log" in error
    assert "requeue this job, which sends it" in error


@pytest.mark.usefixtures("dies")
def test_with_fail_a_requeued_job_sends(
    sink: ScriptedSink, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_ON_UNKNOWN", "fail")
    job = perform("email", MAIL, tries=2)
    requeue(redis, job)
    assert job.get_status() == "finished"
    assert message_ids(sink) == [f"<{job.id}@example.com>"] * 2


@pytest.mark.usefixtures("dies")
def test_with_fail_a_run_that_repeats_without_a_recorded_failure_sends_nothing(
    sink: ScriptedSink, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_ON_UNKNOWN", "fail")
    job = perform("email", MAIL)
    for _ in range(2):  # its worker dies each time with the error in hand
        with pytest.raises(UnknownDeliveryError):
            run_beside(redis, job.id)
    requeue(redis, job)
    assert (job.get_status(), len(sink.mails)) == ("failed", 1)
    requeue(redis, job)
    assert (job.get_status(), len(sink.mails)) == ("finished", 2)


@pytest.mark.usefixtures("dies")
def test_with_fail_a_requeued_job_that_is_refused_for_now_is_tried_again(
    sink: ScriptedSink, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_ON_UNKNOWN", "fail")
    job = perform("email", MAIL, tries=2)
    sink.answers["DATA"] = "451 try later"
    sink.watch = lambda step: sink.answers.clear() if sink.commands.count("RSET") == 1 else None
    requeue(redis, job, retries=1)
    assert (job.get_status(), len(sink.mails)) == ("finished", 2)
    assert redis.hget(job.key, "errand_attempts") == b"4"


@pytest.mark.usefixtures("dies")
def test_with_fail_a_requeued_job_whose_answer_is_lost_as_well_fails_again(
    sink: ScriptedSink, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_ON_UNKNOWN", "fail")
    monkeypatch.setattr(_smtp, "TIMEOUT_SECONDS", 0.2)
    job = perform("email", MAIL, tries=2)
    sink.hang = "taken"
    requeue(redis, job)
    assert (job.get_status(), len(sink.mails)) == ("failed", 2)
    requeue(redis, job)
    assert (job.get_status(), len(sink.mails)) == ("failed", 2)
    assert "UnknownDeliveryError" in error_of(redis, job)


def list_descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [pid, *(found for child in children for found in list_descendants(child))]


@pytest.mark.quick("send")
@pytest.mark.parametrize(
    ("setting", "status", "sent"), [("send", "finished", 2), ("fail", "failed", 1)], ids=["send", "fail"]
)
def test_a_worker_killed_before_the_answer_reached_it_leaves_the_mail_unknown(
    services: Services, sink: ScriptedSink, redis: Redis, setting: str, status: str, sent: int
) -> None:
    services.environment["MAIL_ON_UNKNOWN"] = setting
    job = Queue("email", connection=redis, serializer="json").enqueue_call("jobs.email.run.perform", kwargs=MAIL)
    sink.hang = "taken"
    worker = services.start_plain_worker()
    wait_until(lambda: sink.mails)
    for pid in list_descendants(worker.pid):
        os.kill(pid, signal.SIGKILL)
    assert notes(redis) == [b"sending"]
    sink.hang = ""
    redis.delete(*redis.keys("rq:wip:*"), *redis.keys("rq:execution*"))
    Queue("email", connection=redis, serializer="json").enqueue_job(job)
    assert services.start_plain_worker("--burst").wait(30) == 0
    job.refresh()
    assert (job.get_status(), message_ids(sink)) == (status, [f"<{job.id}@example.com>"] * sent)
