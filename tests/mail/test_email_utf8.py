"""What goes out as it is: addresses beyond ASCII, large messages, and dots."""

import re
from collections.abc import Iterator

import pytest

from errand.mail.smtp.connection import CHUNK_BYTES, stuff
from errand.mail.smtp.transport import NO_UTF8, SmtpTransport
from errand.mail.transport import Envelope, Outcome, Outcomes, RefusedError
from jobs import email
from tests.support.sinks import RawServer

ADA, BO = "ada@example.com", "bö@example.com"
PLAIN = b"Subject: Hello\r\n\r\nIt works.\r\n"


class Nowhere:
    """A ledger that keeps nothing."""

    def begin(self, recipients: list[str]) -> None:
        """Do nothing."""

    def withdraw(self) -> None:
        """Do nothing."""


@pytest.fixture
def raw() -> Iterator[RawServer]:
    with RawServer(EHLO="250-raw\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 SMTPUTF8") as server:
        yield server


def send(server: RawServer, envelope: Envelope) -> Outcomes:
    return SmtpTransport(server.url, 8).send(envelope, Nowhere(), lambda recipient: None)


def mail_options(server: RawServer) -> str:
    (command,) = (command for command in server.commands if command.startswith("MAIL"))
    return command.partition("> ")[2]


def test_an_address_beyond_ascii_goes_to_a_server_that_takes_it(raw: RawServer) -> None:
    outcomes = send(raw, Envelope("jürgen@example.com", [ADA, BO], PLAIN))
    assert outcomes == {ADA: Outcome("sent"), BO: Outcome("sent")}
    assert mail_options(raw) == f"SIZE={len(PLAIN)} SMTPUTF8 BODY=8BITMIME"
    assert "MAIL FROM:<jürgen@example.com>" in raw.commands[1]
    assert f"RCPT TO:<{BO}>" in raw.commands


def test_a_server_that_does_not_take_it_refuses_that_recipient_alone() -> None:
    with RawServer() as server:
        outcomes = send(server, Envelope("errand@example.com", [ADA, BO], b"To: \xc3\xb6\r\n\r\n", lambda: PLAIN))
        assert outcomes == {ADA: Outcome("sent"), BO: Outcome("refused", NO_UTF8)}
        assert server.messages == [PLAIN.decode()]
        assert mail_options(server) == ""


def test_with_no_other_recipient_such_a_server_is_asked_for_nothing() -> None:
    with RawServer() as server:
        assert send(server, Envelope("errand@example.com", [BO], PLAIN)) == {BO: Outcome("refused", NO_UTF8)}
        with pytest.raises(RefusedError, match="SMTPUTF8"):
            send(server, Envelope("jürgen@example.com", [ADA], PLAIN))
        assert not [command for command in server.commands if command.startswith("MAIL")]


def test_a_mail_in_ascii_needs_nothing(raw: RawServer) -> None:
    send(raw, Envelope("errand@example.com", [ADA], PLAIN))
    assert mail_options(raw) == f"SIZE={len(PLAIN)}"


def test_a_body_of_8_bits_says_so(raw: RawServer) -> None:
    send(raw, Envelope("errand@example.com", [ADA], PLAIN + "ö\r\n".encode()))
    assert mail_options(raw) == f"SIZE={len(PLAIN) + 4} BODY=8BITMIME"


def test_a_head_with_an_address_beyond_ascii_needs_smtputf8_whoever_gets_it(raw: RawServer) -> None:
    send(raw, Envelope("errand@example.com", [ADA], b"To: \xc3\xb6\r\n\r\n", lambda: PLAIN))
    assert "SMTPUTF8" in mail_options(raw)


@pytest.mark.parametrize("around", range(-3, 4))
@pytest.mark.parametrize("piece", [b"\r\n.", b"\r\n..", b".", b"\r\n.\r\n"])
def test_lines_that_begin_with_a_dot_have_two_wherever_a_piece_ends(around: int, piece: bytes) -> None:
    message = b"x" * (CHUNK_BYTES + around) + piece + b"y" * CHUNK_BYTES + piece + b"z\r\n"
    assert b"".join(stuff(message)) == re.sub(rb"(?m)^\.", b"..", message) + b".\r\n"


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (b"", b".\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b"x", b"x\r\n.\r\n"),
        (b"x\r\n", b"x\r\n.\r\n"),
        (b".\r\n.", b"..\r\n..\r\n.\r\n"),
    ],
)
def test_a_message_ends_with_a_line_and_a_dot(message: bytes, sent: bytes) -> None:
    assert b"".join(stuff(message)) == sent


def test_a_small_message_is_one_piece_with_its_end() -> None:
    assert list(stuff(PLAIN)) == [PLAIN + b".\r\n"]


def test_a_large_message_arrives_whole(raw: RawServer) -> None:
    message = PLAIN + b".x" * 500 + b"\r\n" + (b"0123456789" * 7 + b"\r\n") * 70_000
    send(raw, Envelope("errand@example.com", [ADA], message))
    (seen,) = raw.messages
    assert len(seen) == len(message) + 1
    assert seen.replace("\r\n..x", "\r\n.x", 1).encode() == message


def test_the_job_writes_a_head_in_ascii_for_a_server_that_takes_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer() as server:
        monkeypatch.setenv("SMTP_URL", server.url)
        monkeypatch.setenv("MAIL_FROM", "errand@example.com")
        email.run(email.Message(to=[ADA, f"Bö <{BO}>"], subject="Hello", text="It works."))
    (mail,) = server.messages
    assert mail.isascii()
    assert f"To: {ADA}, =?utf-8?b?QsO2?= :;" in mail
