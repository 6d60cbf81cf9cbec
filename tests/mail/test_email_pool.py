"""Connections kept between mails: how many, for how long, and what becomes of a mail when one has ended."""

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis
from rq.timeouts import JobTimeoutException

from errand.builtin.email import Message
from errand.contract.errors import UnfinishedError
from errand.mail.smtp import connection as _smtp
from errand.mail.smtp import pool as _mail_pool
from errand.mail.smtp.conversation import Conversation
from errand.mail.smtp.pool import MailPool, find_pool
from errand.mail.transport import DeliveryError, RefusedError
from jobs import email
from tests.mail.rerun import ADA, BO, MAIL, notes
from tests.support.job_fixtures import Perform
from tests.support.services import Services
from tests.support.sinks import RawServer, ScriptedSink
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def _settings(sink: ScriptedSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", sink.url)
    monkeypatch.setenv("MAIL_FROM", "errand@example.com")


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> Iterator[RawServer]:
    """A server that has taken one mail, over a connection that is kept."""
    with RawServer(EHLO="250-raw\r\n250 PIPELINING") as server:
        monkeypatch.setenv("SMTP_URL", server.url)
        send()
        yield server


@pytest.fixture
def pool(sink: ScriptedSink) -> Iterator[MailPool]:
    """A pool with one connection."""
    pool = MailPool(sink.url, 1)
    yield pool
    pool._close_kept()


def send(*to: str) -> dict[str, str]:
    result = email.run(Message(to=list(to or (ADA,)), subject="Hello", text="It works."))
    refused: dict[str, str] = result["refused"]
    return refused


def send_at_once(count: int, threads: int) -> None:
    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(lambda _: send(), range(count)))


def count(server: RawServer, verb: str) -> int:
    return [command.split()[0].upper() for command in server.commands].count(verb)


def test_mails_one_after_the_other_share_a_connection(sink: ScriptedSink) -> None:
    for _ in range(5):
        send(ADA, BO)
    assert (len(sink.mails), sink.connections) == (5, 1)


def test_a_process_has_at_most_smtp_connections_at_once(sink: ScriptedSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_CONNECTIONS", "3")
    sink.watch = lambda step: time.sleep(0.002)
    send_at_once(60, threads=16)
    assert (len(sink.mails), sink.connections, sink.most) == (60, 3, 3)


def test_a_refusal_leaves_the_connection_for_the_next_mail(sink: ScriptedSink) -> None:
    sink.answers = {ADA: "550 no such user"}
    for _ in range(3):
        with pytest.raises(RefusedError, match="550 no such user"):
            send(ADA)
        assert send(ADA, BO) == {ADA: "550 no such user"}
    assert ([mail.recipients for mail in sink.mails], sink.connections) == ([[BO]] * 3, 1)


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        *[(step, "") for step in ("MAIL", "RCPT", "DATA")],
        *[(step, "421 that was enough") for step in ("MAIL", "RCPT", "DATA")],
        ("MAIL", "452 too many mails"),
        ("MAIL", "503 not again"),
        ("MAIL", "530 log in again"),
        ("RCPT", "what"),
        ("DATA", "451 too many messages over this connection"),
        ("DATA", "554 too many messages over this connection"),
    ],
)
def test_a_kept_connection_that_has_ended_is_replaced_within_the_attempt(
    raw: RawServer, step: str, answer: str
) -> None:
    raw.once = {step: answer}
    assert send(ADA, BO) == {}
    assert (raw.connections, count(raw, ".")) == (2, 2)
    assert count(raw, "DATA") == (3 if step == "DATA" else 2)


def test_a_kept_connection_that_takes_no_recipient_any_more_is_replaced_within_the_attempt(raw: RawServer) -> None:
    raw.once = {"RCPT": "451 too many messages over this connection"}
    assert send(ADA) == {}
    assert (raw.connections, count(raw, ".")) == (2, 2)


@pytest.mark.parametrize("answer", ["451 too many messages over this connection", "554 too many messages"])
def test_after_a_refused_message_over_a_kept_connection_the_next_one_has_a_new_one(raw: RawServer, answer: str) -> None:
    raw.once = {".": answer}
    with pytest.raises((DeliveryError, RefusedError), match=answer):
        send()
    assert (raw.connections, count(raw, ".")) == (1, 2)
    assert send() == {}
    assert (raw.connections, count(raw, ".")) == (2, 3)


def test_a_refused_message_over_a_new_connection_leaves_it(sink: ScriptedSink) -> None:
    sink.answers["DATA"] = "554 spam"
    with pytest.raises(RefusedError):
        send()
    sink.answers.clear()
    send()
    assert (len(sink.mails), sink.connections) == (1, 1)


@pytest.mark.parametrize("end", ["shut", "reset"])
def test_a_server_that_has_ended_all_connections_costs_no_mail(sink: ScriptedSink, end: str) -> None:
    send_at_once(16, threads=4)
    sink.hang_up(at_once=end == "reset")
    wait_until(lambda: not sink.open)
    send_at_once(16, threads=4)
    assert len(sink.mails) == 32


@pytest.mark.parametrize("answer", ["", "421 closing", "what"])
def test_a_message_that_has_begun_over_a_kept_connection_is_not_begun_again(
    sink: ScriptedSink, redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch, raw: RawServer, answer: str
) -> None:
    raw.answers["."] = answer
    job = perform("email", MAIL)
    assert (job.get_status(), count(raw, "DATA"), raw.connections) == ("failed", 2, 1)
    assert notes(redis) == ([] if answer.startswith("421") else [b"sending"])


def test_a_new_connection_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(MAIL="451 not now") as server:
        monkeypatch.setenv("SMTP_URL", server.url)
        with pytest.raises(DeliveryError, match="451 not now"):
            send()
    assert (server.connections, count(server, "MAIL")) == (1, 1)


def test_answers_that_came_ahead_are_read_before_the_next_mail(raw: RawServer) -> None:
    raw.once = {"RCPT": "450 busy"}
    with pytest.raises(UnfinishedError, match=f"^1 of 2 recipients have it; {ADA}: 450 busy$"):
        send(ADA, BO)
    assert send(BO) == {}
    assert raw.connections == 1


def test_a_connection_that_rests_for_its_time_is_ended_with_a_word(
    sink: ScriptedSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_mail_pool, "IDLE_SECONDS", 0.2)
    send_at_once(12, threads=3)
    wait_until(lambda: not sink.open)
    assert sink.commands == ["QUIT"] * sink.connections
    send()
    wait_until(lambda: sink.commands == ["QUIT"] * sink.connections)


@pytest.mark.parametrize("limit", ["CHECK_SECONDS", "TIMEOUT_SECONDS"])
def test_a_server_that_vanished_without_a_word_holds_up_one_mail_only(
    sink: ScriptedSink, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(_smtp, limit, 0.5)
    monkeypatch.setattr(_smtp, "CHECK_AFTER_SECONDS", 0 if limit == "CHECK_SECONDS" else 60)
    keep_four(sink)
    sink.freeze()
    begun = time.monotonic()
    send()
    keep_four(sink)
    assert time.monotonic() - begun < 0.95
    assert (len(sink.mails), sink.connections) == (1, 8)


def keep_four(sink: ScriptedSink) -> None:
    """Leave four connections in the pool."""
    pool, together = find_pool(sink.url, 8), threading.Barrier(4)
    with ThreadPoolExecutor(4) as executor:
        for each in [executor.submit(pool.use, lambda conversation: together.wait(5)) for _ in range(4)]:
            each.result()


def test_a_forked_child_has_a_pool_of_its_own(sink: ScriptedSink, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = find_pool(sink.url, 8)
    assert find_pool(sink.url, 8) is ours
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert find_pool(sink.url, 8) is not ours


def start(work: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, errors


def interrupt(thread: threading.Thread) -> None:
    assert thread.ident
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(JobTimeoutException))
    thread.join(5)
    assert not thread.is_alive()


def begin_and_wait(begun: threading.Event) -> Callable[[Conversation], None]:
    def talk(conversation: Conversation) -> None:
        conversation.begin("errand@example.com", [])
        begun.set()
        while True:
            time.sleep(0.01)

    return talk


def test_a_mail_that_is_interrupted_gives_back_its_place_and_not_its_connection(
    sink: ScriptedSink, pool: MailPool
) -> None:
    begun = threading.Event()
    holder, errors = start(lambda: pool.use(begin_and_wait(begun)))
    assert begun.wait(5)
    interrupt(holder)
    assert isinstance(errors[0], JobTimeoutException)
    wait_until(lambda: not sink.open)
    pool.use(lambda conversation: conversation.begin("errand@example.com", []))
    assert (sink.connections, sink.commands) == (2, [])


def test_a_mail_that_waits_for_a_connection_can_be_interrupted(pool: MailPool) -> None:
    begun = threading.Event()
    holder, _ = start(lambda: pool.use(begin_and_wait(begun)))
    assert begun.wait(5)
    waiter, errors = start(lambda: pool.use(lambda conversation: None))
    wait_until(lambda: pool._freed._waiters)  # type: ignore[attr-defined]
    interrupt(waiter)
    assert isinstance(errors[0], JobTimeoutException)
    interrupt(holder)
    pool.use(lambda conversation: conversation.begin("errand@example.com", []))


def use_and_not_give_back(pool: MailPool, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(MailPool, "_give_back", lambda self, me: None)
        pool.use(lambda conversation: None)


def test_what_a_thread_could_not_give_back_is_free_when_it_has_ended(
    sink: ScriptedSink, pool: MailPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, _ = start(lambda: use_and_not_give_back(pool, monkeypatch))
    holder.join(5)
    pool.use(lambda conversation: conversation.begin("errand@example.com", []))
    assert (sink.connections, sink.most) == (2, 1)


def test_a_thread_does_not_wait_for_what_it_could_not_give_back_itself(
    pool: MailPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def use_twice() -> None:
        use_and_not_give_back(pool, monkeypatch)
        pool.use(lambda conversation: None)

    thread, errors = start(use_twice)
    thread.join(5)
    assert (thread.is_alive(), errors) == (False, [])


def test_a_worker_sends_each_mail_once_though_the_server_ends_connections(
    services: Services, sink: ScriptedSink, redis: Redis
) -> None:
    services.environment["SMTP_CONNECTIONS"] = "4"
    sink.mails_each = 3
    services.start_api()
    services.start_worker()
    ids = [services.post("email", MAIL["message"]) for _ in range(40)]
    jobs = [services.wait_for(id) for id in ids]
    assert [(job["status"], job["attempts"]) for job in jobs] == [("finished", 1)] * 40
    assert sorted(str(mail.message["Message-ID"]) for mail in sink.mails) == sorted(f"<{id}@example.com>" for id in ids)
    assert sink.most <= 4
    assert 40 / 3 <= sink.connections < 40
