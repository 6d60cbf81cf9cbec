"""Encryption and login."""

import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from errand.builtin.email import Message
from errand.contract.errors import ServiceDownError
from errand.local.valkey import find_free_port
from errand.mail.settings import MailSettings
from errand.mail.smtp import pool as _mail_pool
from jobs import email
from tests.support.receivers import CERTIFICATE

USER, PASSWORD = "ada@example.com", "p/a:s@s %"
QUOTED = "ada%40example.com:p%2Fa%3As%40s%20%25"


class Keeper:
    """Keeps what arrives, and whether it came encrypted and from whom."""

    def __init__(self) -> None:
        self.seen: list[tuple[bool, str | None]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        login = session.auth_data.login.decode() if session.auth_data else None
        self.seen.append((server.transport.get_extra_info("ssl_object") is not None, login))
        return "250 Kept"


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
    found = (data.login.decode(), data.password.decode()) == (USER, PASSWORD)
    return AuthResult(success=found, handled=False, auth_data=data)


@pytest.fixture
def certificate() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    return context


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process trusts the test's certificate, as an operator's machine trusts a real one."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))


Serve = Callable[..., Keeper]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts a server; `url` is SMTP_URL with {} for host and port."""
    servers = []

    def serve(url: str = "smtp://{}", **options: Any) -> Keeper:
        keeper, port = Keeper(), find_free_port()
        servers.append(Controller(keeper, hostname="127.0.0.1", port=port, **options))
        servers[-1].start()
        monkeypatch.setenv("SMTP_URL", url.format(f"127.0.0.1:{port}"))
        return keeper

    monkeypatch.setenv("MAIL_FROM", "errand@example.com")
    yield serve
    for pool in _mail_pool._pools.values():  # from Python 3.12 on a server's end waits for its connections
        pool._close_kept()
    for server in servers:
        server.stop()


def send() -> None:
    email.run(Message(to="bo@example.com", subject="Hello", text="It works."))


def test_starttls_that_is_required_but_not_offered_is_the_services_fault(serve: Serve) -> None:
    keeper = serve("smtp://{}?starttls=require")
    with pytest.raises(
        ServiceDownError, match=r"^STARTTLS at .*: SMTP_URL requires it and the server does not offer it$"
    ):
        send()
    assert keeper.seen == []


def test_starttls_that_is_offered_is_used_without_a_verified_certificate(
    serve: Serve, certificate: ssl.SSLContext
) -> None:
    keeper = serve(tls_context=certificate)
    send()
    assert keeper.seen == [(True, None)]


def test_required_starttls_refuses_a_certificate_that_nobody_vouches_for(
    serve: Serve, certificate: ssl.SSLContext
) -> None:
    keeper = serve("smtp://{}?starttls=require", tls_context=certificate)
    with pytest.raises(ServiceDownError, match=r"^STARTTLS at .*certificate verify failed"):
        send()
    assert keeper.seen == []


def test_a_password_is_not_sent_under_a_certificate_that_nobody_vouches_for(
    serve: Serve, certificate: ssl.SSLContext
) -> None:
    asked: list[Any] = []
    serve(
        f"smtp://{QUOTED}@{{}}",
        tls_context=certificate,
        authenticator=lambda *data: asked.append(data) or authenticate(*data),
    )
    with pytest.raises(ServiceDownError, match="certificate verify failed"):
        send()
    assert asked == []


@pytest.mark.usefixtures("trusted")
def test_required_starttls_with_a_certificate_that_is_trusted_delivers(
    serve: Serve, certificate: ssl.SSLContext
) -> None:
    keeper = serve("smtp://{}?starttls=require", tls_context=certificate, require_starttls=True)
    send()
    assert keeper.seen == [(True, None)]


@pytest.mark.usefixtures("trusted")
def test_a_login_has_its_percent_signs_decoded(serve: Serve, certificate: ssl.SSLContext) -> None:
    keeper = serve(
        f"smtp://{QUOTED}@{{}}?starttls=require",
        tls_context=certificate,
        authenticator=authenticate,
        auth_required=True,
    )
    send()
    assert keeper.seen == [(True, USER)]
    MailSettings().probe()


@pytest.mark.usefixtures("trusted")
def test_a_kept_connection_is_still_encrypted_and_logged_in(serve: Serve, certificate: ssl.SSLContext) -> None:
    asked: list[Any] = []
    keeper = serve(
        f"smtp://{QUOTED}@{{}}",
        tls_context=certificate,
        authenticator=lambda *data: asked.append(data) or authenticate(*data),
        auth_required=True,
    )
    for _ in range(3):
        send()
    assert (keeper.seen, len(asked)) == ([(True, USER)] * 3, 1)


@pytest.mark.usefixtures("trusted")
def test_a_wrong_password_is_the_services_fault_and_not_in_the_message(
    serve: Serve, certificate: ssl.SSLContext
) -> None:
    serve("smtp://ada:secret@{}", tls_context=certificate, authenticator=authenticate, auth_required=True)
    with pytest.raises(ServiceDownError, match=r"^AUTH at 127\.0\.0\.1:\d+: 535 ") as caught:
        send()
    assert "secret" not in str(caught.value)
    with pytest.raises(ServiceDownError):
        MailSettings().probe()


def test_a_login_that_the_server_does_not_offer_is_the_services_fault(serve: Serve) -> None:
    serve("smtp://ada:secret@{}")
    with pytest.raises(
        ServiceDownError, match=r"^AUTH at .*: SMTP_URL has a user name, and the server offers no login"
    ):
        send()


@pytest.mark.usefixtures("trusted")
def test_smtps_is_encrypted_from_the_start(serve: Serve, certificate: ssl.SSLContext) -> None:
    keeper = serve("smtps://{}", ssl_context=certificate)
    send()
    assert keeper.seen == [(True, None)]


def test_smtps_refuses_a_certificate_that_nobody_vouches_for(serve: Serve, certificate: ssl.SSLContext) -> None:
    serve("smtps://{}", ssl_context=certificate)
    with pytest.raises(ServiceDownError, match=r"^connect at 127\.0\.0\.1:\d+: .*certificate verify failed"):
        send()
