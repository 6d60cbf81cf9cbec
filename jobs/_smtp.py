"""One message, one SMTP conversation (RFC 5321): all of its recipients for now, or none of them."""

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.utils import parseaddr
from types import TracebackType
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobs import PermanentError
from jobs._delivery import Delivery

TIMEOUT_SECONDS = 30


class DeliveryError(Exception):
    """Raised when the server says «not now» (4xx), does not answer or can't be reached; worth another try."""


class RefusedError(PermanentError):
    """Raised when the server says «never» (5xx)."""


class MailSettings(BaseSettings):
    """The mail server and the sender."""

    model_config = SettingsConfigDict(frozen=True)
    smtp_url: str = Field(alias="SMTP_URL")
    mail_from: str = Field(alias="MAIL_FROM")
    mail_on_unknown: Literal["send", "fail"] = Field("send", alias="MAIL_ON_UNKNOWN")

    @field_validator("smtp_url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            sound = parts.scheme in ("smtp", "smtps") and parts.hostname and (parts.port or True)
        except ValueError:
            sound = False
        if not sound or parts.query not in ("", "starttls=require"):
            raise ValueError(
                "write smtp://user:password@host:587?starttls=require, or smtps://… for TLS from the start"
            )
        return url

    @field_validator("mail_from")
    @classmethod
    def _check_sender(cls, sender: str) -> str:
        name, address = parseaddr(sender)
        try:
            Address(name, addr_spec=address)
        except (ValueError, IndexError, HeaderParseError):
            address = ""
        if not address.partition("@")[2] or not address.isascii():
            raise ValueError("write an address: you@example.com or Name <you@example.com>")
        return sender

    @property
    def sender(self) -> Address:
        """Who the mail is from."""
        name, address = parseaddr(self.mail_from)
        return Address(name, addr_spec=address)

    def probe(self) -> None:
        """Say hello to the server and log in, send nothing. Raises DeliveryError or RefusedError."""
        with Conversation(self, mail=False):
            pass


class Conversation:
    """A connection for one message. Raises DeliveryError where another try may help, RefusedError where not."""

    def __init__(self, settings: MailSettings, mail: bool = True) -> None:
        self._settings = settings
        self._mail = mail
        self._accepted = 0
        self._refused: dict[str, str] = {}
        self._smtp: smtplib.SMTP

    def __enter__(self) -> Self:
        url = urlsplit(self._settings.smtp_url)
        try:
            self._smtp = self._connect(url.scheme, url.hostname or "", url.port)
        except smtplib.SMTPConnectError as error:
            raise _judge("connect", error.smtp_code, error.smtp_error) from None
        except OSError as error:  # smtplib's own errors and ssl's are OSErrors too
            raise DeliveryError(f"connect to {url.hostname}: {error}") from error
        try:
            self._greet(required=url.query == "starttls=require")
        except BaseException:
            self._smtp.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # the server has answered for the message already, or this conversation has failed
            if kind is not None:
                self._smtp.rset()
            self._smtp.quit()
        self._smtp.close()

    def address(self, recipient: str) -> None:
        """Name one recipient. A 4xx ends the conversation; a 5xx is kept for the answer of `deliver`."""
        with _faults(f"RCPT TO {recipient}"):
            code, text = self._smtp.rcpt(recipient)
        if 200 <= code < 300:
            self._accepted += 1
        elif 500 <= code < 600:
            self._refused[recipient] = _show(code, text)
        else:
            raise _judge(f"RCPT TO {recipient}", code, text)

    def deliver(self, message: bytes, delivery: Delivery) -> dict[str, str]:
        """Send the message to those who were accepted; return the others with the server's reason.

        What `delivery` raises before the message goes out ends the conversation.
        """
        if not self._accepted:
            reasons = "; ".join(f"{address}: {reason}" for address, reason in self._refused.items())
            raise RefusedError(f"every recipient was refused: {reasons}")
        with _faults("DATA"):
            code, text = self._smtp.docmd("DATA")
            if code != 354:
                raise _judge("DATA", code, text)
            code, text = self._send(message, delivery)
        if not 200 <= code < 300:  # smtplib gives -1 for what is no SMTP reply
            raise _judge("DATA", code, text)
        return self._refused

    def _send(self, message: bytes, delivery: Delivery) -> tuple[int, bytes]:
        """Send the message's lines and return the answer; up to their first one it is known that nothing was sent."""
        lines = re.sub(rb"(?m)^\.", b"..", message)  # RFC 5321, section 4.5.2
        try:
            delivery.begin()
            self._smtp.send(lines + b".\r\n")
            code, text = self._smtp.getreply()
        except BaseException:
            self._smtp.close()  # the server would take all else, an RSET too, for lines of the message
            raise
        if 400 <= code < 600:
            delivery.withdraw()
        return code, text

    def _connect(self, scheme: str, host: str, port: int | None) -> smtplib.SMTP:
        if scheme == "smtps":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, port or 465, timeout=TIMEOUT_SECONDS, context=context)
        return smtplib.SMTP(host, port or 587, timeout=TIMEOUT_SECONDS)

    def _greet(self, required: bool) -> None:
        url = urlsplit(self._settings.smtp_url)
        with _faults("EHLO"):
            self._smtp.ehlo_or_helo_if_needed()
        if url.scheme == "smtp":
            self._start_tls(required, has_password=bool(url.password))
        if url.username:
            with _faults("AUTH"):
                self._smtp.login(unquote(url.username), unquote(url.password or ""))
        if self._mail:
            with _faults("MAIL FROM"):
                code, text = self._smtp.mail(self._settings.sender.addr_spec)
            if not 200 <= code < 300:
                raise _judge("MAIL FROM", code, text)

    def _start_tls(self, required: bool, has_password: bool) -> None:
        """Encrypt where offered; check the certificate where there is something to lose (RFC 7435 for the rest)."""
        if not self._smtp.has_extn("starttls"):
            if required:
                raise RefusedError("SMTP_URL requires STARTTLS and the server does not offer it")
            return
        context = ssl.create_default_context()
        if not required and not has_password:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        with _faults("STARTTLS"):
            self._smtp.starttls(context=context)
            self._smtp.ehlo()


@contextmanager
def _faults(step: str) -> Iterator[None]:
    """Turn what smtplib raises into this module's two errors, with the step in front."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise _judge(step, error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPNotSupportedError as error:
        raise RefusedError(f"{step}: {error}") from error
    except OSError as error:
        raise DeliveryError(f"{step}: {error or type(error).__name__}") from error


def _judge(step: str, code: int, text: bytes | str) -> DeliveryError | RefusedError:
    kind = RefusedError if 500 <= code < 600 else DeliveryError
    return kind(f"{step}: {_show(code, text)}")


def _show(code: int, text: bytes | str) -> str:
    if code < 0:
        return "an answer that is no SMTP reply"
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"{code} {shown}"
