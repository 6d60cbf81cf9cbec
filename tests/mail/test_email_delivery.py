"""The notes about a mail: where Redis can't take them, gets them twice, or gets them from two runs at once."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from rq import Queue

from errand import job_id
from errand.mail.ledger import MailLedger
from tests.mail.rerun import BO, MAIL, die_once, error_of, hand_back, key_of, message_ids, notes, requeue, run_beside
from tests.support.job_fixtures import Perform
from tests.support.sinks import ScriptedSink

Spoil = Callable[[str], str]
Halt = Callable[[str, Callable[[str], object]], None]


@pytest.fixture(autouse=True)
def _settings(sink: ScriptedSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", sink.url)
    monkeypatch.setenv("MAIL_FROM", "errand@example.com")


@pytest.fixture
def spoil(sink: ScriptedSink, redis: Redis) -> Spoil:
    """Once the server is at a step, makes the key of one job's mail unwritable for scripts; returns the job's id."""

    def spoil_at(step: str) -> str:
        id, left = str(uuid4()), [step]
        sink.watch = lambda at: redis.set(f"errand:mail:{id}", left.pop()) if at in left else None
        return id

    return spoil_at


@pytest.fixture
def halt(monkeypatch: pytest.MonkeyPatch) -> Halt:
    """Halts the next run just before or after it notes `sending`, as if frozen, and calls `act` with its id."""
    begin = MailLedger.begin

    def halt_once(when: str, act: Callable[[str], object]) -> None:
        acts = {when: act}

        def begin_and_halt(self: MailLedger, recipients: list[str]) -> None:
            before, after = acts.pop("before", str), acts.pop("after", str)
            before(job_id())
            begin(self, recipients)
            after(job_id())

        monkeypatch.setattr(MailLedger, "begin", begin_and_halt)

    return halt_once


def die_beside(redis: Redis, id: str) -> None:
    """Let a successor die with the mail sent and not noted, by `die_once`."""
    with pytest.raises(SystemError):
        run_beside(redis, id)


def test_nothing_is_sent_where_sending_can_not_be_noted(
    sink: ScriptedSink, redis: Redis, perform: Perform, spoil: Spoil
) -> None:
    begun = time.monotonic()
    job = perform("email", MAIL, job_id=spoil(BO))
    assert (job.get_status(), sink.mails) == ("failed", [])
    assert "WRONGTYPE" in error_of(redis, job)
    assert time.monotonic() - begun < 10  # no RSET waits for an answer: the server takes it for a line of the message
    redis.delete(key_of(job))
    requeue(redis, job)
    assert (job.get_status(), len(sink.mails)) == ("finished", 1)


def test_a_job_whose_mail_was_taken_finishes_where_sent_can_not_be_noted(
    sink: ScriptedSink, perform: Perform, spoil: Spoil, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "errand.jobs"):
        job = perform("email", MAIL, tries=3, job_id=spoil("taken"))
    assert (job.get_status(), len(sink.mails)) == ("finished", 1)
    assert f"job {job.id}: what happened to its mail could not be noted: WRONGTYPE" in caplog.text


def test_a_refusal_is_reported_as_it_is_where_it_can_not_be_noted(
    sink: ScriptedSink, redis: Redis, perform: Perform, spoil: Spoil
) -> None:
    sink.answers["DATA"] = "554 spam"
    assert '"RefusedError"' in error_of(redis, perform("email", MAIL, job_id=spoil("DATA")))


def test_sending_and_sent_are_noted_in_a_full_redis(
    sink: ScriptedSink, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    recall, finish = MailLedger.recall, MailLedger.finish
    seen: dict[str, list[bytes]] = {}

    def recall_and_fill(self: MailLedger) -> Any:
        found = recall(self)
        redis.config_set("maxmemory", 1)
        return found

    def finish_and_empty(self: MailLedger, result: dict[str, Any]) -> None:
        finish(self, result)
        redis.config_set("maxmemory", "512mb")

    monkeypatch.setattr(MailLedger, "recall", recall_and_fill)
    monkeypatch.setattr(MailLedger, "finish", finish_and_empty)
    sink.watch = lambda step: seen.update({step: notes(redis)})
    job = perform("email", MAIL)
    assert (job.get_status(), seen["DATA"], notes(redis)) == ("finished", [b"sending"], [b"sent"])


@pytest.mark.parametrize(("answer", "left"), [("250 Kept", [b"sent"]), ("451 try later", [])])
def test_a_script_that_is_sent_twice_changes_nothing_more(
    sink: ScriptedSink,
    redis: Redis,
    perform: Perform,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    left: list[bytes],
) -> None:
    evaluate, twice = Redis.eval, []

    def send_twice(self: Redis, script: str, count: int, *args: str) -> Any:
        if args[0].startswith("errand:mail:"):
            twice.append(evaluate(self, script, count, *args))
        return evaluate(self, script, count, *args)

    monkeypatch.setattr(Redis, "eval", send_twice)
    sink.answers["DATA"] = answer
    job = perform("email", MAIL)
    assert (job.get_status(), notes(redis)) == ("finished" if left else "failed", left)
    assert len(twice) == 2


def test_a_run_that_was_overtaken_sends_nothing(sink: ScriptedSink, redis: Redis, perform: Perform, halt: Halt) -> None:
    beside = []
    halt("before", lambda id: beside.append(run_beside(redis, id)))
    job = perform("email", MAIL)
    assert (job.get_status(), len(sink.mails)) == ("failed", 1)
    assert '"ConflictError"' in error_of(redis, job)
    requeue(redis, job)
    assert (job.get_status(), job.return_value(), len(sink.mails)) == ("finished", beside[0], 1)


def test_a_run_sends_nothing_while_its_successor_does(
    sink: ScriptedSink, redis: Redis, perform: Perform, halt: Halt, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_once(monkeypatch)
    halt("before", lambda id: die_beside(redis, id))
    job = perform("email", MAIL)
    assert (job.get_status(), len(sink.mails), notes(redis)) == ("failed", 1, [b"sending"])
    assert '"ConflictError"' in error_of(redis, job)


def test_a_refusal_takes_back_its_own_run_alone(
    sink: ScriptedSink, redis: Redis, perform: Perform, halt: Halt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die_and_refuse(id: str) -> None:
        die_beside(redis, id)
        sink.answers["DATA"] = "451 try later"

    die_once(monkeypatch)
    halt("after", die_and_refuse)
    job = perform("email", MAIL)
    assert (job.get_status(), len(sink.mails), notes(redis)) == ("failed", 1, [b"sending"])


def test_of_two_runs_that_both_send_the_first_result_stays(
    sink: ScriptedSink, redis: Redis, perform: Perform, halt: Halt
) -> None:
    beside = []

    def send_beside(id: str) -> None:
        sink.answers[BO] = "550 no such user"
        beside.append(run_beside(redis, id))

    halt("after", send_beside)
    job = perform("email", MAIL)
    assert (job.get_status(), message_ids(sink)) == ("finished", [f"<{job.id}@example.com>"] * 2)
    hand_back(redis, job)
    assert job.return_value() == beside[0]
    assert beside[0]["refused"] == {BO: "550 no such user"}


def test_sixteen_threads_of_one_process_do_not_mix_their_mails(sink: ScriptedSink, redis: Redis) -> None:
    queue = Queue("tests", connection=redis, serializer="json")
    ids = [queue.enqueue_call("jobs.email.run.perform", kwargs=MAIL).id for _ in range(48)]
    with ThreadPoolExecutor(16) as threads:
        first = list(threads.map(lambda id: run_beside(redis, id), ids))
        assert list(threads.map(lambda id: run_beside(redis, id), ids)) == first
    assert [result["message_id"] for result in first] == [f"<{id}@example.com>" for id in ids]
    assert sorted(message_ids(sink)) == sorted(f"<{id}@example.com>" for id in ids)
