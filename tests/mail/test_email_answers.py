"""What the server says, and what becomes of the mail for each of its recipients."""

import socket
from typing import Any

import pytest

from errand import PermanentError, Progress
from errand.builtin.email import Message
from errand.contract.errors import ServiceDownError, UnfinishedError
from errand.mail.settings import MailSettings
from errand.mail.smtp import connection as _smtp
from errand.mail.transport import DeliveryError, RefusedError
from jobs import email
from tests.support.sinks import RawServer, ScriptedSink
from tests.support.waiting import wait_until

ADA, BO, CY = "ada@example.com", "bo@example.com", "cy@example.com"


@pytest.fixture(autouse=True)
def _settings(sink: ScriptedSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", sink.url)
    monkeypatch.setenv("MAIL_FROM", "errand@example.com")


def send(*to: str, **options: Any) -> dict[str, Any]:
    return email.run(Message(to=list(to or (ADA,)), subject="Hello", text="It works."), **options)


def use(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", server.url)


def test_only_the_permanent_kind_is_permanent() -> None:
    assert issubclass(RefusedError, PermanentError)
    assert not issubclass(DeliveryError, PermanentError)


def test_250_for_all_delivers_to_all(sink: ScriptedSink) -> None:
    assert send(ADA, BO, CY)["refused"] == {}
    assert [mail.recipients for mail in sink.mails] == [[ADA, BO, CY]]
    assert sink.commands == []


@pytest.mark.parametrize("answer", ["450 try later", "451 local error"])
def test_a_4xx_for_one_of_three_recipients_delivers_to_the_others(sink: ScriptedSink, answer: str) -> None:
    sink.answers[BO] = answer
    with pytest.raises(UnfinishedError, match=f"^2 of 3 recipients have it; {BO}: {answer}$") as caught:
        send(ADA, BO, CY)
    assert [mail.recipients for mail in sink.mails] == [[ADA, CY]]
    assert caught.value.result["recipients"] == {
        ADA: {"status": "sent"},
        BO: {"status": "gave_up", "reason": answer},
        CY: {"status": "sent"},
    }


def test_a_421_for_one_of_three_recipients_delivers_to_nobody(sink: ScriptedSink) -> None:
    sink.answers[BO] = "421 closing"
    with pytest.raises(DeliveryError, match=f"^RCPT TO {BO}: 421 closing$"):
        send(ADA, BO, CY)
    assert (sink.mails, sink.commands) == ([], [])


def test_a_550_for_one_of_three_is_in_the_result_and_the_others_get_it(sink: ScriptedSink) -> None:
    sink.answers[BO] = "550 no such user"
    assert send(ADA, BO, CY)["refused"] == {BO: "550 no such user"}
    assert [mail.recipients for mail in sink.mails] == [[ADA, CY]]


def test_a_550_and_a_450_keep_the_mail_from_nobody_else(sink: ScriptedSink) -> None:
    sink.answers |= {ADA: "550 no such user", CY: "450 try later"}
    with pytest.raises(UnfinishedError, match=f"^1 of 3 recipients have it; {CY}: 450 try later$") as caught:
        send(ADA, BO, CY)
    assert [mail.recipients for mail in sink.mails] == [[BO]]
    assert caught.value.result["refused"] == {ADA: "550 no such user"}


def test_450_for_all_is_tried_again_with_each_reason(sink: ScriptedSink) -> None:
    sink.answers |= {ADA: "450 try later", BO: "451 busy"}
    with pytest.raises(DeliveryError, match=f"^RCPT TO {ADA}: 450 try later; RCPT TO {BO}: 451 busy$"):
        send(ADA, BO)
    assert (sink.mails, sink.commands) == ([], ["RSET"])


def test_550_for_all_fails_for_good_with_each_reason(sink: ScriptedSink) -> None:
    sink.answers |= {ADA: "550 no such user", BO: "553 not here"}
    with pytest.raises(RefusedError) as caught:
        send(ADA, BO)
    assert str(caught.value) == f"every recipient was refused: {ADA}: 550 no such user; {BO}: 553 not here"
    assert (sink.mails, sink.commands) == ([], ["RSET"])


@pytest.mark.parametrize("step", ["MAIL", "DATA"])
@pytest.mark.parametrize(("answer", "kind"), [("451 try later", DeliveryError), ("554 spam", RefusedError)])
def test_an_answer_at_mail_or_data_decides_for_all(
    sink: ScriptedSink, step: str, answer: str, kind: type[Exception]
) -> None:
    sink.answers[step] = answer
    with pytest.raises(kind, match=answer):
        send(ADA, BO)
    assert sink.mails == []


@pytest.mark.parametrize(
    ("answers", "kind", "text"),
    [
        ({"CONNECT": "421 too busy"}, ServiceDownError, "greeting at {}: 421 too busy"),
        ({"CONNECT": "554 go away"}, ServiceDownError, "greeting at {}: 554 go away"),
        ({"CONNECT": ""}, ServiceDownError, "connect at {}: Connection unexpectedly closed"),
        ({"MAIL": "421 closing"}, DeliveryError, "MAIL FROM: 421 closing"),
        ({"MAIL": ""}, DeliveryError, "MAIL FROM: Connection unexpectedly closed"),
        ({"DATA": "451 no room"}, DeliveryError, "DATA: 451 no room"),
        ({".": "552 too large"}, RefusedError, "DATA: 552 too large"),
        ({".": ""}, DeliveryError, "DATA: Connection unexpectedly closed"),
        ({"EHLO": "502 what", "HELO": "550 no"}, ServiceDownError, "EHLO at {}: 550 no"),
        ({"MAIL": "hello"}, DeliveryError, "MAIL FROM: an answer that is no SMTP reply"),
        ({"RCPT": "hello"}, DeliveryError, f"RCPT TO {ADA}: an answer that is no SMTP reply"),
        ({".": "hello"}, DeliveryError, "DATA: an answer that is no SMTP reply"),
    ],
)
def test_each_step_names_itself_and_its_answer(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], kind: type[Exception], text: str
) -> None:
    with RawServer(**answers) as server:
        use(server, monkeypatch)
        with pytest.raises(kind) as caught:
            send()
    assert str(caught.value) == text.format(server.url.removeprefix("smtp://"))


def test_a_server_without_ehlo_gets_helo(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(EHLO="502 what") as server:
        use(server, monkeypatch)
        assert send()["refused"] == {}
    assert [command.split()[0].lower() for command in server.commands[:3]] == ["ehlo", "helo", "mail"]


@pytest.mark.parametrize("step", ["MAIL", BO, "DATA"])
def test_a_server_that_hangs_is_tried_again_later(
    sink: ScriptedSink, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(_smtp, "TIMEOUT_SECONDS", 0.2)
    sink.hang = step
    with pytest.raises(DeliveryError, match="timed out"):
        send(ADA, BO)
    assert sink.mails == []


def test_a_server_that_never_greets_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_smtp, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("SMTP_URL", f"smtp://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ServiceDownError, match=r"^connect at 127\.0\.0\.1:\d+: .*timed out"):
            send()


def test_a_server_that_refuses_connections_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("SMTP_URL", f"smtp://127.0.0.1:{port}")
    with pytest.raises(ServiceDownError, match=rf"^connect at 127\.0\.0\.1:{port}: .*refused"):
        send()


def test_progress_stays_at_the_recipient_that_failed(sink: ScriptedSink) -> None:
    sink.answers[BO] = "421 closing"
    seen = Progress()
    with pytest.raises(DeliveryError):
        send(ADA, BO, CY, progress=seen)
    assert seen.reports[-1] == (2, 5, "recipient 2 of 3")


def test_probe_says_hello_and_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer() as server:
        use(server, monkeypatch)
        MailSettings().probe()
        wait_until(lambda: "quit" in [command.lower() for command in server.commands])
    assert [command.split()[0].lower() for command in server.commands] == ["ehlo", "quit"]


def test_probe_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(CONNECT="554 go away") as server:
        use(server, monkeypatch)
        with pytest.raises(ServiceDownError, match=r"^greeting at 127\.0\.0\.1:\d+: 554 go away$"):
            MailSettings().probe()
