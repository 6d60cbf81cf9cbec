"""Each recipient counts by itself: the accepted get the mail now and once, and a later run is only for the others."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from rq.job import Job

from errand import job_id
from errand.mail.ledger import MailLedger
from tests.mail.rerun import ADA, BO, MAIL, die_once, error_of, hand_back, key_of, requeue, run_beside
from tests.support.job_fixtures import Perform
from tests.support.sinks import RawServer, ScriptedSink

CY = "cy@example.com"
THREE: dict[str, Any] = {"message": MAIL["message"] | {"to": [ADA, BO, CY]}}
SENT = {"status": "sent"}


@pytest.fixture(autouse=True)
def _settings(sink: ScriptedSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", sink.url)
    monkeypatch.setenv("MAIL_FROM", "errand@example.com")


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> Any:
    with RawServer() as server:
        monkeypatch.setenv("SMTP_URL", server.url)
        yield server


def note_of(redis: Redis, job: Job) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in redis.hgetall(key_of(job)).items()}


def groups(sink: ScriptedSink) -> list[list[str]]:
    return [mail.recipients for mail in sink.mails]


def answer_rcpts(*answers: str) -> Callable[[str], str]:
    """Return these answers to the next RCPTs, whoever they are for; then accept all."""
    left = list(answers)
    return lambda command: left.pop(0) if left else "250 OK"


def limit(server: RawServer, most: int, answer: str) -> None:
    """Let the server take so many recipients in one transaction."""
    named: list[str] = []

    def begin(command: str) -> str:
        named.clear()
        return "250 OK"

    def name(command: str) -> str:
        if len(named) == most:
            return answer
        named.append(command)
        return "250 OK"

    server.answers |= {"MAIL": begin, "RCPT": name}


def test_who_is_accepted_gets_it_at_the_first_try_and_who_waits_at_the_next(
    sink: ScriptedSink, redis: Redis, perform: Perform
) -> None:
    sink.answers[BO] = "451 greylisted"
    sink.watch = lambda step: sink.answers.clear() if step == "taken" else None
    job = perform("email", THREE, tries=3)
    assert (job.get_status(), groups(sink)) == ("finished", [[ADA, CY], [BO]])
    assert job.return_value()["recipients"] == {ADA: SENT, BO: SENT, CY: SENT}
    assert list(note_of(redis, job)) == ["sent"]


def test_at_the_end_it_has_finished_and_says_who_was_given_up(
    sink: ScriptedSink, redis: Redis, perform: Perform
) -> None:
    sink.answers |= {BO: "451 greylisted", CY: "550 no such user"}
    job = perform("email", THREE, tries=3)
    assert (job.get_status(), groups(sink)) == ("finished", [[ADA]])
    assert job.return_value() == {
        "message_id": f"<{job.id}@example.com>",
        "recipients": {
            ADA: {"status": "sent"},
            BO: {"status": "gave_up", "reason": "451 greylisted"},
            CY: {"status": "refused", "reason": "550 no such user"},
        },
        "refused": {CY: "550 no such user"},
    }
    assert (sink.refused[:2], set(sink.refused[2:])) == ([BO, CY], {BO})  # a refusal for good is not asked for again


def test_where_none_has_it_at_the_end_it_has_failed_and_a_requeue_asks_for_all(
    sink: ScriptedSink, redis: Redis, perform: Perform
) -> None:
    sink.answers |= {ADA: "550 no such user", BO: "451 greylisted"}
    job = perform("email", MAIL, tries=2)
    assert (job.get_status(), sink.mails) == ("failed", [])
    assert f"RCPT TO {BO}: 451 greylisted" in error_of(redis, job)
    sink.answers.clear()
    requeue(redis, job)
    assert (job.get_status(), groups(sink)) == ("finished", [[ADA, BO]])


def test_a_job_that_failed_between_sends_to_nobody_twice_when_it_is_requeued(
    sink: ScriptedSink, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.answers |= {BO: "451 greylisted", CY: "550 no such user"}
    settle = MailLedger.settle

    def settle_and_fail(self: MailLedger, outcomes: Any) -> None:
        settle(self, outcomes)
        raise SystemError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(MailLedger, "settle", settle_and_fail)
        job = perform("email", THREE)
    assert (job.get_status(), groups(sink)) == ("failed", [[ADA]])
    sink.answers.clear()
    requeue(redis, job)
    assert (job.get_status(), groups(sink)) == ("finished", [[ADA], [BO, CY]])


def test_all_who_are_refused_one_by_one_fail_it_for_good(sink: ScriptedSink, redis: Redis, perform: Perform) -> None:
    sink.answers |= {ADA: "550 no such user", BO: "451 greylisted"}
    sink.watch = lambda step: sink.answers.update({BO: "550 nor this one"}) if sink.commands else None
    job = perform("email", MAIL, tries=5)
    assert (job.get_status(), sink.refused) == ("failed", [ADA, BO, BO])
    assert "RefusedError" in error_of(redis, job)
    assert f"every recipient was refused: {ADA}: 550 no such user; {BO}: 550 nor this one" in error_of(redis, job)


@pytest.mark.parametrize("answer", ["452 too many", "452 4.5.3 too many", "552 5.5.3 too many", "552 too many"])
def test_who_is_too_many_gets_it_in_a_further_go(raw: RawServer, perform: Perform, answer: str) -> None:
    limit(raw, 2, answer)
    job = perform("email", {"message": MAIL["message"] | {"to": [f"n{number}@example.com" for number in range(5)]}})
    assert (job.get_status(), len(raw.messages), raw.connections) == ("finished", 3, 1)
    assert {each["status"] for each in job.return_value()["recipients"].values()} == {"sent"}
    assert len(set(raw.messages)) == 1


def test_who_is_too_many_is_noted_before_the_next_go(
    raw: RawServer, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(raw, 2, "452 too many")
    raw.answers["."] = lambda command: "250 OK" if len(raw.messages) == 1 else "451 not now"
    job = perform("email", THREE)
    assert job.return_value()["recipients"] == {
        ADA: {"status": "sent"},
        BO: {"status": "sent"},
        CY: {"status": "gave_up", "reason": "DATA: 451 not now"},
    }
    assert note_of(redis, job) == {"parts": "1", f"to {ADA}": "sent", f"to {BO}": "sent"}


def test_a_server_that_goes_between_two_goes_leaves_the_first_sent(
    raw: RawServer, redis: Redis, perform: Perform
) -> None:
    limit(raw, 2, "452 too many")

    def go(command: str) -> str:
        raw.answers |= {"MAIL": "", "CONNECT": "421 closing"}
        return "250 OK"

    raw.answers["."] = go
    job = perform("email", THREE)
    assert job.get_status() == "finished"  # no try is left; with one it would wait
    assert job.return_value()["recipients"][CY]["reason"].startswith("greeting at 127.0.0.1")


def test_a_refusal_of_the_message_counts_for_those_it_was_for(raw: RawServer, redis: Redis, perform: Perform) -> None:
    raw.answers |= {"RCPT": answer_rcpts("250 OK", "451 greylisted"), ".": "554 spam"}
    job = perform("email", MAIL)
    assert job.get_status() == "failed"
    assert f"RCPT TO {BO}: 451 greylisted" in error_of(redis, job)
    assert note_of(redis, job) == {"parts": "1", f"to {ADA}": "refused none DATA: 554 spam"}


def test_those_in_flight_are_noted_and_no_others(sink: ScriptedSink, redis: Redis, perform: Perform) -> None:
    seen: dict[str, Any] = {}

    def watch(step: str) -> None:
        for key in redis.keys("errand:mail:*"):
            seen[step] = {name.decode(): value.decode() for name, value in redis.hgetall(key).items()}

    sink.answers[BO], sink.watch = "451 greylisted", watch
    job = perform("email", THREE)
    word = seen["DATA"].pop("sending")
    assert seen["DATA"] == {"parts": "1", f"to {ADA}": word, f"to {CY}": word}
    assert word.startswith(f"<{job.id}@example.com> ")
    assert word.endswith(f" 127.0.0.1:{sink.port}")


def die_with_two_of_three_in_flight(
    sink: ScriptedSink, perform: Perform, monkeypatch: pytest.MonkeyPatch, tries: int = 1
) -> Job:
    """Run a job whose first attempt ends between the server's answer, for two of three, and the note of it."""
    settle, left = MailLedger.settle, [SystemError("killed")]

    def settle_or_die(self: MailLedger, outcomes: Any) -> None:
        if left:
            raise left.pop()
        settle(self, outcomes)

    monkeypatch.setattr(MailLedger, "settle", settle_or_die)
    sink.answers[BO] = "451 greylisted"
    sink.watch = lambda step: sink.answers.clear() if step == "taken" else None
    return perform("email", THREE, tries=tries)


def test_with_send_what_is_unknown_of_some_is_sent_again_to_them_and_the_others(
    sink: ScriptedSink, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = die_with_two_of_three_in_flight(sink, perform, monkeypatch, tries=2)
    assert (job.get_status(), groups(sink)) == ("finished", [[ADA, CY], [ADA, BO, CY]])


def test_with_fail_the_others_are_served_and_then_a_person_is_asked(
    sink: ScriptedSink, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_ON_UNKNOWN", "fail")
    job = die_with_two_of_three_in_flight(sink, perform, monkeypatch, tries=5)
    assert (job.get_status(), groups(sink)) == ("failed", [[ADA, CY], [BO]])
    error = error_of(redis, job)
    assert f"it can't be known whether this mail went out to {ADA}, {CY}: an earlier run" in error
    assert f"in the mail server's log (127.0.0.1:{sink.port}); if it is not there" in error
    requeue(redis, job)
    assert (job.get_status(), groups(sink)) == ("finished", [[ADA, CY], [BO], [ADA, CY]])
    assert job.return_value()["recipients"] == {ADA: SENT, BO: SENT, CY: SENT}


def test_with_fail_a_run_that_repeats_without_a_recorded_failure_sends_nothing_to_those(
    sink: ScriptedSink, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_ON_UNKNOWN", "fail")
    job = die_with_two_of_three_in_flight(sink, perform, monkeypatch)
    for _ in range(2):
        with pytest.raises(Exception, match="it can't be known whether"):
            run_beside(redis, job.id)
    assert groups(sink) == [[ADA, CY], [BO]]


def test_a_run_that_was_overtaken_for_some_sends_to_nobody(
    sink: ScriptedSink, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, left = MailLedger.begin, ["beside"]

    def begin_beside(self: MailLedger, recipients: list[str]) -> None:
        if left and left.pop():
            sink.answers[BO] = "451 greylisted"
            run_beside(redis, job_id())
        begin(self, recipients)

    monkeypatch.setattr(MailLedger, "begin", begin_beside)
    job = perform("email", THREE, tries=1)
    assert (job.get_status(), groups(sink)) == ("failed", [[ADA, CY]])
    assert "ConflictError" in error_of(redis, job)
    sink.answers.clear()
    requeue(redis, job)
    assert (job.get_status(), groups(sink)) == ("finished", [[ADA, CY], [BO]])


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ({"sent": '{"message_id": "<x@example.com>", "refused": {}}'}, []),
        ({"sending": "<x@example.com> 0b4e"}, [[ADA, BO]]),
        ({"sending": "<x@example.com> 0b4e", "told": "none"}, [[ADA, BO]]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_what_the_version_before_has_noted_is_understood(
    sink: ScriptedSink, redis: Redis, perform: Perform, before: dict[Any, Any], expected: list[list[str]]
) -> None:
    redis.hset("errand:mail:of-before", mapping=before)
    job = perform("email", MAIL, job_id="of-before")
    assert (job.get_status(), groups(sink)) == ("finished", expected)
    if not expected:
        assert job.return_value() == json.loads(before["sent"])


def test_with_fail_a_mail_that_the_version_before_began_is_held_whole(
    sink: ScriptedSink, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_ON_UNKNOWN", "fail")
    redis.hset("errand:mail:of-before", mapping={"sending": "<x@example.com> 0b4e"})
    job = perform("email", MAIL, job_id="of-before")
    assert (job.get_status(), sink.mails) == ("failed", [])
    assert "whether this mail went out: an earlier" in error_of(redis, job)
    assert "Look for Message-ID <x@example.com> in the mail server's log; if" in error_of(redis, job)
    requeue(redis, job)
    assert (job.get_status(), groups(sink)) == ("finished", [[ADA, BO]])


def test_a_second_run_of_one_that_sent_to_all_in_parts_returns_that_result(
    sink: ScriptedSink, redis: Redis, perform: Perform
) -> None:
    sink.answers[BO] = "451 greylisted"
    sink.watch = lambda step: sink.answers.clear() if step == "taken" else None
    job = perform("email", MAIL, tries=2)
    first = job.return_value()
    hand_back(redis, job)
    assert (job.return_value(), groups(sink)) == (first, [[ADA], [BO]])


def test_fifty_refusals_that_are_long_still_are_a_result(raw: RawServer, perform: Perform) -> None:
    raw.answers["RCPT"] = answer_rcpts("250 OK", *["550 " + 'no "such" user ' * 60] * 49)
    to = [f"{number:0>55}@{'a' * 60}.{'b' * 60}.{'c' * 60}.example.com" for number in range(50)]
    job = perform("email", {"message": MAIL["message"] | {"to": to}})
    assert (job.get_status(), len(job.return_value()["refused"])) == ("finished", 49)


def test_the_death_of_a_run_whose_mail_all_have_is_as_before(
    sink: ScriptedSink, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_once(monkeypatch)
    job = perform("email", MAIL, tries=2)
    assert (job.get_status(), groups(sink)) == ("finished", [[ADA, BO]] * 2)
