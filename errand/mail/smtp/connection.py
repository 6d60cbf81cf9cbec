"""A connection to a mail server (RFC 5321): greeted, encrypted, logged in, and kept from one message to the next."""

import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from errand.mail.smtp.codes import Reply
from errand.mail.smtp.login import down, open_session
from errand.mail.smtp.server_url import Server, read_server
from errand.mail.transport import DeliveryError

TIMEOUT_SECONDS = 30  # an answer that takes longer is one that does not come
# The answer to a message may come after a scan of all of it; to give up before means to send it twice (RFC 5321,
# section 4.5.3.2).
END_TIMES = 4
# A server that vanished silently must not hold up a mail for long, and one that is there answers at once.
CHECK_AFTER_SECONDS = 5
CHECK_SECONDS = 5
IDLE_SECONDS = 30  # servers end what is idle for a minute or more
CHUNK_BYTES = 256 * 1024  # the time-out is one chunk's, and no second copy of a large message is made


class Connection:
    """A connection that is greeted, encrypted and logged in, for one message after the other.

    Raises ServiceDownError where there is none to be had, and later DeliveryError where it has ended.
    """

    def __init__(self, url: str) -> None:
        self.server = read_server(url)
        self.is_used = False
        self._ahead = 0  # answers that are still to come to commands sent ahead
        self.rests_since: float | None = None
        with down("connect", self.server):
            self._smtp = _connect(self.server)
        self._smtp.command_encoding = "utf-8"  # only servers with SMTPUTF8 are sent what is beyond ASCII
        try:
            open_session(self._smtp, self.server)
        except BaseException:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether it can take a command."""
        return self._smtp.sock is not None

    def offers(self, extension: str) -> bool:
        """Return whether the server has an extension, by its keyword in the answer to EHLO."""
        return self._smtp.has_extn(extension)

    def announce(self, step: str, *commands: str) -> None:
        """Send commands ahead of their turn in `ask`, in one go, where the server takes that (RFC 2920)."""
        if self.offers("pipelining"):
            with _faults(step):
                self._smtp.send("".join(f"{command}\r\n" for command in commands))
            self._ahead = len(commands)

    def ask(self, step: str, command: str) -> Reply:
        """Return the answer to a command, which is sent unless it was announced."""
        with _faults(step):
            if not self._ahead:
                self._smtp.putcmd(command)
            return self._read()

    def send(self, step: str, message: bytes) -> Reply:
        """Send a message's lines and return the answer, which may take END_TIMES as long as any other."""
        with _faults(step):
            for chunk in stuff(message):
                self._smtp.send(chunk)
            assert self._smtp.sock is not None
            self._smtp.sock.settimeout(END_TIMES * TIMEOUT_SECONDS)
            reply = self._read()
            if self._smtp.sock is not None:
                self._smtp.sock.settimeout(TIMEOUT_SECONDS)
            return reply

    def _read(self) -> Reply:
        self._ahead = max(0, self._ahead - 1)
        code, text = self._smtp.getreply()
        if code in (-1, 421):  # smtplib's code for what is no SMTP reply, and a server's last one
            self.close()
        return code, text

    def rest(self) -> None:
        """Note that a message has ended well or is forgotten: the next one may come."""
        self.is_used = True
        self.rests_since = time.monotonic()

    def resume(self) -> bool:
        """End the rest; return whether the server still takes commands: after CHECK_AFTER_SECONDS it is asked."""
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
        """Send QUIT and close."""
        self._try(smtplib.SMTP.quit, CHECK_SECONDS)
        self.close()

    def close(self) -> None:
        """Close without QUIT; what is closed stays closed."""
        self._ahead = 0
        self._smtp.close()

    def _try(self, command: Callable[[smtplib.SMTP], Reply], seconds: float) -> bool:
        """Return whether the server accepts a command within `seconds`; close where it does not."""
        with suppress(OSError):
            if self._smtp.sock is not None:
                self._smtp.sock.settimeout(seconds)
                code, _ = command(self._smtp)
                if 200 <= code < 300 and self._smtp.sock is not None:
                    self._smtp.sock.settimeout(TIMEOUT_SECONDS)
                    return True
        self.close()
        return False


def stuff(message: bytes) -> Iterator[bytes]:
    """Return a message as DATA wants it (RFC 5321, section 4.5.2), in pieces: lines' first dots doubled, a last dot."""
    ending = b".\r\n" if not message or message.endswith(b"\r\n") else b"\r\n.\r\n"
    for start in range(0, max(1, len(message)), CHUNK_BYTES):
        chunk = message[start : start + CHUNK_BYTES].replace(b"\n.", b"\n..")
        if chunk.startswith(b".") and message[max(0, start - 1) : start] in (b"", b"\n"):
            chunk = b"." + chunk
        is_last = start + CHUNK_BYTES >= len(message)
        yield chunk + ending if is_last else chunk


def _connect(server: Server) -> smtplib.SMTP:
    if server.encryption == "at once":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(
            server.host, server.port, local_hostname=server.name, timeout=TIMEOUT_SECONDS, context=context
        )
    return smtplib.SMTP(server.host, server.port, local_hostname=server.name, timeout=TIMEOUT_SECONDS)


@contextmanager
def _faults(step: str) -> Iterator[None]:
    """Turn what smtplib raises where a connection ends into a DeliveryError, with the step in front."""
    try:
        yield
    except OSError as error:
        raise DeliveryError(f"{step}: {error or type(error).__name__}") from error
