"""SMTP (RFC 5321): a connection, and one message over it, which all of its recipients get for now, or none of them."""

import re
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import SplitResult, unquote, urlsplit

from errand.mail.transport import DeliveryError, Ledger, RefusedError

TIMEOUT_SECONDS = 30
# A server that vanished without a word must not hold up a mail for long, and one that lives answers at once.
CHECK_AFTER_SECONDS = 5
CHECK_SECONDS = 5
IDLE_SECONDS = 30  # servers end what is idle for a minute or more

Reply = tuple[int, bytes]


class Connection:
    """A connection that is greeted, encrypted and logged in, for one message after the other.

    Raises DeliveryError where another try may help, RefusedError where not.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.is_used = False
        self._ahead = 0  # answers that are still to come
        self.rests_since: float | None = None
        try:
            self._smtp = _connect(parts)
        except smtplib.SMTPConnectError as error:
            raise _judge("connect", error.smtp_code, error.smtp_error) from None
        except OSError as error:  # smtplib's own errors and ssl's are OSErrors too
            raise DeliveryError(f"connect to {parts.hostname}: {error}") from error
        try:
            _greet(self._smtp, parts)
        except BaseException:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether it can take a command."""
        return self._smtp.sock is not None

    def announce(self, step: str, *commands: str) -> None:
        """Send commands ahead of their turn in `ask`, in one go, where the server takes that (RFC 2920)."""
        if self._smtp.has_extn("pipelining"):
            with _faults(step):
                self._smtp.send("".join(f"{command}\r\n" for command in commands))
            self._ahead = len(commands)

    def ask(self, step: str, command: str) -> Reply:
        """Return the answer to a command."""
        with _faults(step):
            if not self._ahead:
                self._smtp.putcmd(command)
            return self._read()

    def send(self, step: str, message: bytes) -> Reply:
        """Return the answer to a message with its last dot."""
        with _faults(step):
            self._smtp.send(message)
            return self._read()

    def _read(self) -> Reply:
        self._ahead = max(0, self._ahead - 1)
        code, text = self._smtp.getreply()
        if code in (-1, 421):  # no SMTP reply, as smtplib tells it, and a server's last one
            self.close()
        return code, text

    def rest(self) -> None:
        """Note that a message has ended well or is forgotten: the next one may come."""
        self.is_used = True
        self.rests_since = time.monotonic()

    def resume(self) -> bool:
        """End the rest; return whether the server still takes commands, which it is asked after some seconds."""
        assert self.rests_since is not None
        seconds, self.rests_since = time.monotonic() - self.rests_since, None
        if seconds > IDLE_SECONDS:
            self.close()
        elif seconds > CHECK_AFTER_SECONDS:
            self._try(smtplib.SMTP.noop, CHECK_SECONDS)
        return self.is_open

    def reset(self) -> None:
        """Make the server forget a message that it did not take, and rest; close where it won't."""
        with suppress(OSError):
            while self._ahead and self.is_open:
                self._read()
        if self._try(smtplib.SMTP.rset, TIMEOUT_SECONDS):
            self.rest()

    def quit(self) -> None:
        """Say good-bye and close."""
        self._try(smtplib.SMTP.quit, CHECK_SECONDS)
        self.close()

    def close(self) -> None:
        """Close without a word; what is closed stays closed."""
        self._ahead = 0
        self._smtp.close()

    def _try(self, command: Callable[[smtplib.SMTP], Reply], seconds: float) -> bool:
        """Return whether the server says yes within some seconds; close where it does not."""
        with suppress(OSError):
            if self._smtp.sock is not None:
                self._smtp.sock.settimeout(seconds)
                code, _ = command(self._smtp)
                if 200 <= code < 300 and self._smtp.sock is not None:
                    self._smtp.sock.settimeout(TIMEOUT_SECONDS)
                    return True
        self.close()
        return False


class Conversation:
    """One message over a connection. Raises DeliveryError where another try may help, RefusedError where not."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_begun = False
        self._accepted = 0
        self._refused: dict[str, str] = {}

    @property
    def is_stale(self) -> bool:
        """Whether it ended since a kept connection had ended: the message did not begin, a new connection may do."""
        return self._connection.is_used and not self._connection.is_open and not self._is_begun

    def begin(self, sender: str, recipients: list[str]) -> None:
        """Say who the message is from; `recipients` are those that will be named."""
        command = f"MAIL FROM:{smtplib.quoteaddr(sender)}"
        self._connection.announce("MAIL FROM", command, *map(_name, recipients))
        code, text = self._connection.ask("MAIL FROM", command)
        if not 200 <= code < 300:
            if self._connection.is_used:  # it may have had enough of this connection alone
                self._connection.close()
            raise self._refuse("MAIL FROM", code, text)

    def address(self, recipient: str) -> None:
        """Name one recipient. A 4xx ends the conversation; a 5xx is kept for the answer of `deliver`."""
        code, text = self._connection.ask(f"RCPT TO {recipient}", _name(recipient))
        if 200 <= code < 300:
            self._accepted += 1
        elif 500 <= code < 600:
            self._refused[recipient] = _show(code, text)
        else:
            raise self._refuse(f"RCPT TO {recipient}", code, text)

    def deliver(self, message: bytes, ledger: Ledger) -> dict[str, str]:
        """Send the message to those who were accepted; return the others with the server's reason.

        What `ledger` raises before the message goes out ends the conversation.
        """
        if not self._accepted:
            reasons = "; ".join(f"{address}: {reason}" for address, reason in self._refused.items())
            raise RefusedError(f"every recipient was refused: {reasons}")
        code, text = self._connection.ask("DATA", "DATA")
        if code != 354:
            raise self._refuse("DATA", code, text)
        code, text = self._send(message, ledger)
        if not 200 <= code < 300:
            raise self._refuse("DATA", code, text)
        return self._refused

    def _send(self, message: bytes, ledger: Ledger) -> Reply:
        """Send the message's lines and return the answer; up to their first one it is known that nothing was sent."""
        lines = re.sub(rb"(?m)^\.", b"..", message) + b".\r\n"  # RFC 5321, section 4.5.2
        try:
            ledger.begin()
            self._is_begun = True
            code, text = self._connection.send("DATA", lines)
        except BaseException:
            self._connection.close()  # the server would take all else, an RSET too, for lines of the message
            raise
        if 400 <= code < 600:
            ledger.withdraw()
        return code, text

    def _refuse(self, step: str, code: int, text: bytes) -> DeliveryError | RefusedError:
        if not 400 <= code < 600:  # no answer to what was asked: nobody knows what the next one belongs to
            self._connection.close()
        return _judge(step, code, text)


def _connect(url: SplitResult) -> smtplib.SMTP:
    host = url.hostname or ""
    if url.scheme == "smtps":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(host, url.port or 465, timeout=TIMEOUT_SECONDS, context=context)
    return smtplib.SMTP(host, url.port or 587, timeout=TIMEOUT_SECONDS)


def _greet(smtp: smtplib.SMTP, url: SplitResult) -> None:
    with _faults("EHLO"):
        smtp.ehlo_or_helo_if_needed()
    if url.scheme == "smtp":
        _start_tls(smtp, url.query == "starttls=require", has_password=bool(url.password))
    if url.username:
        with _faults("AUTH"):
            smtp.login(unquote(url.username), unquote(url.password or ""))


def _start_tls(smtp: smtplib.SMTP, required: bool, has_password: bool) -> None:
    """Encrypt where offered; check the certificate where there is something to lose (RFC 7435 for the rest)."""
    if not smtp.has_extn("starttls"):
        if required:
            raise RefusedError("SMTP_URL requires STARTTLS and the server does not offer it")
        return
    context = ssl.create_default_context()
    if not required and not has_password:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with _faults("STARTTLS"):
        smtp.starttls(context=context)
        smtp.ehlo()


def _name(recipient: str) -> str:
    return f"RCPT TO:{smtplib.quoteaddr(recipient)}"


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
