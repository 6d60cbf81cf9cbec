"""Faults of the connection cost no mail a try; a mail that makes a server hang up costs only itself one."""

import socket
from collections.abc import Callable

import pytest

from errand.builtin.email import Message
from errand.contract.errors import ServiceDownError
from errand.mail.retry import read_service
from errand.mail.smtp import connection as _smtp
from errand.mail.transport import DeliveryError, RefusedError
from jobs import email
from tests.support.sinks import RawServer

EHLO_AUTH = "250-raw\r\n250 AUTH PLAIN LOGIN"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_FROM", "errand@example.com")
    monkeypatch.setattr(_smtp, "TIMEOUT_SECONDS", 0.3)


def send(server: RawServer, monkeypatch: pytest.MonkeyPatch, login: str = "", options: str = "") -> None:
    monkeypatch.setenv("SMTP_URL", server.url.replace("://", f"://{login}") + options)
    email.run(Message(to="ada@example.com", subject="Hello", text="It works."))


@pytest.mark.parametrize(
    ("answers", "login", "text"),
    [
        ({"CONNECT": "421 too busy"}, "", "greeting at {}: 421 too busy"),
        ({"CONNECT": "450 not now"}, "", "greeting at {}: 450 not now"),
        ({"CONNECT": "521 no mail here"}, "", "greeting at {}: 521 no mail here"),
        ({"CONNECT": "554 go away"}, "", "greeting at {}: 554 go away"),
        ({"CONNECT": "hello"}, "", "greeting at {}: an answer that is no SMTP reply"),
        ({"EHLO": "421 closing"}, "", "EHLO at {}: 421 closing"),
        ({"EHLO": "451 not now"}, "", "EHLO at {}: 451 not now"),
        ({"EHLO": "550 not you", "HELO": "550 nor you"}, "", "EHLO at {}: 550 nor you"),
        ({"EHLO": ""}, "", "EHLO at {}: Connection unexpectedly closed"),
        ({"EHLO": "250-raw\r\n250 STARTTLS", "STARTTLS": "454 no TLS now"}, "", "STARTTLS at {}: 454 no TLS now"),
        ({"EHLO": "250-raw\r\n250 STARTTLS", "STARTTLS": "501 what"}, "", "STARTTLS at {}: 501 what"),
        ({"EHLO": EHLO_AUTH, "AUTH": "535 5.7.8 wrong"}, "ada:secret@", "AUTH at {}: 535 5.7.8 wrong"),
        ({"EHLO": EHLO_AUTH, "AUTH": "454 4.7.0 not now"}, "ada:secret@", "AUTH at {}: 454 4.7.0 not now"),
        ({"EHLO": EHLO_AUTH, "AUTH": "432 change it"}, "ada:secret@", "AUTH at {}: 432 change it"),
        ({"EHLO": EHLO_AUTH, "AUTH": "421 closing"}, "ada:secret@", "AUTH at {}: 421 closing"),
        ({"EHLO": EHLO_AUTH, "AUTH": "250 what"}, "ada:secret@", "AUTH at {}: 250 what"),
        ({"EHLO": EHLO_AUTH, "AUTH": ""}, "ada:secret@", "AUTH at {}: Connection unexpectedly closed"),
        (
            {},
            "ada:secret@",
            "AUTH at {}: SMTP_URL has a user name, and the server offers no login with PLAIN, LOGIN, CRAM-MD5 "
            "(it offers none)",
        ),
        (
            {"EHLO": "250-raw\r\n250 AUTH XOAUTH2 GSSAPI"},
            "ada:secret@",
            "AUTH at {}: SMTP_URL has a user name, and the server offers no login with PLAIN, LOGIN, CRAM-MD5 "
            "(it offers XOAUTH2, GSSAPI)",
        ),
        ({"MAIL": "530 5.7.0 log in first"}, "", "MAIL FROM at {}: 530 5.7.0 log in first"),
        ({"MAIL": "503 AUTH first"}, "", "MAIL FROM at {}: 503 AUTH first"),
        ({"MAIL": "502 no such command"}, "", "MAIL FROM at {}: 502 no such command"),
        ({"MAIL": "521 no mail here"}, "", "MAIL FROM at {}: 521 no mail here"),
    ],
)
def test_it_is_the_services_fault_and_says_where_and_what(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], login: str, text: str
) -> None:
    with RawServer(**answers) as server, pytest.raises(ServiceDownError) as caught:
        send(server, monkeypatch, login)
    assert str(caught.value) == text.format(server.url.removeprefix("smtp://"))
    assert "DATA" not in server.commands


def test_a_name_that_is_none_is_the_services_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(*args: object, **options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    with RawServer() as server:
        monkeypatch.setattr(socket, "getaddrinfo", find_nothing)
        with pytest.raises(ServiceDownError, match=r"^connect at 127\.0\.0\.1:\d+: .*Name or service not known"):
            send(server, monkeypatch)


@pytest.mark.parametrize(
    ("answers", "kind", "text"),
    [
        ({"MAIL": "451 not now"}, DeliveryError, "MAIL FROM: 451 not now"),
        ({"MAIL": "452 no room"}, DeliveryError, "MAIL FROM: 452 no room"),
        ({"MAIL": "550 not you"}, RefusedError, "MAIL FROM: 550 not you"),
        ({"MAIL": "552 too large"}, RefusedError, "MAIL FROM: 552 too large"),
        ({"MAIL": "554 no"}, RefusedError, "MAIL FROM: 554 no"),
        ({"RCPT": "530 log in for this one"}, DeliveryError, "RCPT TO ada@example.com: 530 log in for this one"),
        (
            {"RCPT": "556 no mail there"},
            RefusedError,
            "every recipient was refused: ada@example.com: 556 no mail there",
        ),
        ({"DATA": "503 no recipients"}, DeliveryError, "DATA: 503 no recipients"),
        ({"DATA": "554 no"}, RefusedError, "DATA: 554 no"),
        ({".": "452 no room"}, DeliveryError, "DATA: 452 no room"),
        ({".": "550 spam"}, RefusedError, "DATA: 550 spam"),
        ({".": "421 closing"}, DeliveryError, "DATA: 421 closing"),
    ],
)
def test_it_is_the_mails_fault(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], kind: type[Exception], text: str
) -> None:
    with RawServer(**answers) as server, pytest.raises(kind) as caught:
        send(server, monkeypatch)
    assert str(caught.value) == text


def go_away_at(step: str, server: RawServer, answer: str = "") -> Callable[[str], str]:
    """Return an answer after which the server takes no more connections."""

    def go_away(command: str) -> str:
        server.answers["CONNECT"] = "421 closing"
        return answer

    return go_away


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("answer", ["", "421 closing"])
def test_a_mail_at_which_the_server_hangs_up_is_at_fault_while_others_are_let_in(
    monkeypatch: pytest.MonkeyPatch, step: str, answer: str
) -> None:
    with RawServer(**{step: answer}) as server:
        with pytest.raises(DeliveryError, match=answer or "closed"):
            send(server, monkeypatch)
        assert server.connections == 2
        server.answers[step] = "250 OK" if step != "DATA" else "354 go on"
        send(server, monkeypatch)
        assert server.connections == 2  # the one that was tried is kept


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("answer", ["", "421 closing"])
def test_a_server_that_hangs_up_and_lets_nobody_in_is_down(
    monkeypatch: pytest.MonkeyPatch, step: str, answer: str
) -> None:
    with RawServer() as server:
        server.answers[step] = go_away_at(step, server, answer)
        with pytest.raises(ServiceDownError, match="421 closing"):
            send(server, monkeypatch)


def test_a_server_that_goes_after_the_message_leaves_the_mail_unknown_and_not_the_service_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with RawServer() as server:
        server.answers["."] = go_away_at(".", server)
        with pytest.raises(DeliveryError, match=r"^DATA: Connection unexpectedly closed$"):
            send(server, monkeypatch)
        assert server.connections == 1


@pytest.mark.parametrize("piece", ["secret-word", "c2VjcmV0LXdvcmQ=", "AGFkYQBzZWNyZXQtd29yZA=="])
def test_what_the_server_repeats_of_a_login_is_not_shown(monkeypatch: pytest.MonkeyPatch, piece: str) -> None:
    answers = {"EHLO": "250-raw\r\n250 AUTH LOGIN", "AUTH": "334 VXNlcm5hbWU6", "YWRH": "334 UGFzc3dvcmQ6"}
    answers = {"EHLO": EHLO_AUTH, "AUTH": f"535 what is {piece}?"} if piece.startswith("AG") else answers
    answers["C2VJCMV0LXDVCMQ="] = f"535 what is {piece}?"
    answers["YWRH"] = "334 UGFzc3dvcmQ6"
    with RawServer(**answers) as server, pytest.raises(ServiceDownError) as caught:
        send(server, monkeypatch, "ada:secret-word@")
    assert str(caught.value).endswith("535 what is ***?")


def test_mails_depend_on_the_server_and_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", "smtp://ada:old@mail.example.com")
    old = read_service()
    monkeypatch.setenv("SMTP_URL", "smtp://ada:new@mail.example.com")
    assert email.run.options.service is read_service
    assert read_service() != old
