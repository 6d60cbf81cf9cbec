"""How we name ourselves and log in, and that a password doesn't go out in clear."""

import hmac
import socket
from base64 import b64decode, b64encode
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import quote

import pytest

from errand.builtin.email import Message
from errand.contract.errors import ServiceDownError
from errand.mail.smtp import login as _login
from jobs import email
from tests.support.sinks import RawServer

USER, PASSWORD = "jürgen@example.com", "pässwörd/#?@:% 東京🚀"
LOGIN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_FROM", "errand@example.com")


def send(server: RawServer, monkeypatch: pytest.MonkeyPatch, login: str = "", options: str = "") -> None:
    monkeypatch.setenv("SMTP_URL", server.url.replace("://", f"://{login}") + options)
    email.run(Message(to="ada@example.com", subject="Hello", text="It works."))


def offer(mechanisms: str, **answers: str | Callable[[str], str]) -> RawServer:
    return RawServer(EHLO=f"250-raw\r\n250 AUTH {mechanisms}", **{"AUTH": "235 welcome"} | answers)


def logins(server: RawServer) -> list[str]:
    """Return what was said from AUTH on, before MAIL."""
    begun = next(number for number, command in enumerate(server.commands) if command.startswith("AUTH"))
    return server.commands[begun : next((n for n, c in enumerate(server.commands) if c.startswith("MAIL")), None)]


def encode(text: str) -> str:
    return b64encode(text.encode()).decode()


def test_plain_is_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    with offer("LOGIN PLAIN CRAM-MD5") as server:
        send(server, monkeypatch, LOGIN)
    assert logins(server) == [f"AUTH PLAIN {encode(chr(0) + USER + chr(0) + PASSWORD)}"]


def test_a_long_answer_of_plain_comes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    password = "x" * 500
    with offer("PLAIN", AUTH="334 ", **{encode(f"\0ada\0{password}").upper(): "235 welcome"}) as server:
        send(server, monkeypatch, f"ada:{password}@")
    assert logins(server) == ["AUTH PLAIN", encode(f"\0ada\0{password}")]


def test_login_is_utf_8_and_says_nothing_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"AUTH": "334 VXNlcm5hbWU6", encode(USER).upper(): "334 UGFzc3dvcmQ6"}
    with offer("LOGIN CRAM-MD5", **answers, **{encode(PASSWORD).upper(): "235 welcome"}) as server:
        send(server, monkeypatch, LOGIN)
    assert logins(server) == ["AUTH LOGIN", encode(USER), encode(PASSWORD)]


def test_cram_md5_is_for_a_server_that_offers_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    challenge = "<1896.697170952@postoffice.example.net>"
    answer = encode(f"{USER} {hmac.new(PASSWORD.encode(), challenge.encode(), 'md5').hexdigest()}")
    with offer("CRAM-MD5", AUTH=f"334 {encode(challenge)}", **{answer.upper(): "235 welcome"}) as server:
        send(server, monkeypatch, LOGIN)
    assert logins(server) == ["AUTH CRAM-MD5", answer]
    assert b64decode(answer).decode().startswith(USER)


def test_a_challenge_that_is_none_is_the_services_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    with offer("CRAM-MD5", AUTH="334 a") as server, pytest.raises(ServiceDownError, match=r"^AUTH at .*no base64$"):
        send(server, monkeypatch, LOGIN)


@pytest.mark.parametrize("answer", ["504 not this one", "534 too weak", "538 not without TLS", "502 unknown"])
def test_a_way_to_log_in_that_the_server_does_not_take_leaves_the_next(
    monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    def refuse_plain(command: str) -> str:
        return answer if "PLAIN" in command else "334 VXNlcm5hbWU6"

    answers = {"YWRH": "334 UGFzc3dvcmQ6", encode("secret").upper(): "235 welcome"}
    with offer("PLAIN LOGIN", AUTH=refuse_plain, **answers) as server:
        send(server, monkeypatch, "ada:secret@")
    assert logins(server)[-3:] == ["AUTH LOGIN", "YWRh", encode("secret")]


def test_a_wrong_password_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with offer("PLAIN LOGIN CRAM-MD5", AUTH="535 5.7.8 wrong") as server:
        with pytest.raises(ServiceDownError, match="535"):
            send(server, monkeypatch, "ada:secret@")
        assert len([command for command in server.commands if command.startswith("AUTH")]) == 1


def test_the_old_way_to_offer_a_login_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(EHLO="250-raw\r\n250 AUTH=PLAIN", AUTH="235 welcome") as server:
        send(server, monkeypatch, "ada:secret@")
    assert logins(server) == [f"AUTH PLAIN {encode(chr(0) + 'ada' + chr(0) + 'secret')}"]


def test_a_user_name_without_a_password_logs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    with offer("PLAIN") as server:
        send(server, monkeypatch, "ada@")
    assert logins(server) == [f"AUTH PLAIN {encode(chr(0) + 'ada' + chr(0))}"]


def be_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server's address be that of another machine."""
    monkeypatch.setattr(_login, "ip_address", lambda address: _login_address("192.0.2.1"))


_login_address = ip_address


def test_a_password_is_not_sent_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    be_elsewhere(monkeypatch)
    with offer("PLAIN") as server, pytest.raises(ServiceDownError) as caught:
        send(server, monkeypatch, "ada:secret@")
    assert str(caught.value).startswith(
        f"STARTTLS at {server.url.removeprefix('smtp://')}: the server does not offer it"
    )
    assert "?tls=none" in str(caught.value)
    assert not [command for command in server.commands if command.startswith("AUTH")]


def test_a_password_is_sent_in_clear_where_smtp_url_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    be_elsewhere(monkeypatch)
    with RawServer(EHLO="250-raw\r\n250-STARTTLS\r\n250 AUTH PLAIN", AUTH="235 welcome") as server:
        send(server, monkeypatch, "ada:secret@", "?tls=none")
    assert logins(server)[0].startswith("AUTH PLAIN")
    assert "STARTTLS" not in server.commands


def test_without_a_password_a_server_without_starttls_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    be_elsewhere(monkeypatch)
    with RawServer() as server:
        send(server, monkeypatch)
    assert len(server.messages) == 1


@pytest.mark.parametrize("name", ["app.example.com", "[192.0.2.7]"])
def test_ehlo_is_the_name_that_smtp_url_gives(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with RawServer() as server:
        send(server, monkeypatch, options=f"?ehlo={name}")
    assert server.commands[0] == f"ehlo {name}"


def test_with_a_name_given_nobody_is_asked_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda *name: pytest.fail("it was asked"))
    with RawServer() as server:
        send(server, monkeypatch, options="?ehlo=app.example.com")
