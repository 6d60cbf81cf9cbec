"""One request to a URL, over a connection to an address that was checked before."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from errand.contract.errors import RetryLaterError
from errand.webhook.address import Target, find_targets
from errand.webhook.response import FinalResponse, HeadLimitError
from errand.webhook.retry_after import read_retry_after

T = TypeVar("T")
CONNECT_SECONDS = 10.0  # for all addresses of a host together
ANSWER_SECONDS = 20.0  # Standard Webhooks asks for 15 to 30


class UndeliveredError(RetryLaterError):
    """Raised when a webhook did not arrive, or was not taken; the text names the host and no more of the URL."""


class Answer(NamedTuple):
    """What a receiver answered, and for how many seconds it asks to wait, a day at most."""

    status: int
    retry_after_seconds: float = 0.0


class GuardedConnection(HTTPConnection):
    """Goes to the targets given and nowhere else, whatever the host's name would resolve to a moment later."""

    response_class = FinalResponse

    def __init__(self, host: str, port: int, targets: Sequence[Target], tls: ssl.SSLContext | None) -> None:
        super().__init__(host, port)
        self.default_port = 443 if tls else 80  # left out of the Host header
        self._targets = targets
        self._tls = tls
        self._watched: tuple[threading.Timer, socket.socket] | None = None
        self.late = False

    def connect(self) -> None:
        """Connect to the first target that answers; all that follows may take ANSWER_SECONDS. Raises OSError."""
        self.sock = _open(self._targets)
        line = self.sock.dup()  # TLS takes the first one over
        timer = threading.Timer(ANSWER_SECONDS, self._cut, [line])
        timer.daemon = True
        self._watched = timer, line
        timer.start()
        self.sock.settimeout(None)
        if self._tls:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)

    def end(self) -> None:
        """End the connection and the watch over it.

        `close()` is not enough: where the connection ends with the answer's body, http.client calls it once the head is
        read, when the body is still to be read.
        """
        self.close()
        if self._watched:
            timer, line = self._watched
            timer.cancel()
            line.close()

    def _cut(self, line: socket.socket) -> None:
        """End the connection while it is read: a time-out of the socket would begin anew with each byte that comes."""
        self.late = True
        with suppress(OSError):  # it has just ended
            line.shutdown(socket.SHUT_RDWR)


def post(url: str, body: bytes, headers: Mapping[str, str], allow_private: bool) -> Answer:
    """Send `body`; return the answer. No redirect is followed, and only the answer's head is read.

    Raises RefusedAddressError and UndeliveredError.
    """

    def talk(connection: HTTPConnection, path: str) -> Answer:
        connection.request("POST", path, body, dict(headers))
        answer = connection.getresponse()
        return Answer(answer.status, read_retry_after(answer.status, answer.headers))

    return exchange(url, allow_private, talk, UndeliveredError, "no answer in")


def exchange(
    url: str, allow_private: bool, talk: Callable[[HTTPConnection, str], T], fault: type[Exception], late: str
) -> T:
    """Return what `talk` returns, given a connection to a URL's host and the path.

    Raises RefusedAddressError, and `fault` where there is no answer in HTTP, or none within ANSWER_SECONDS: `late` is
    how its text begins then.
    """
    host, path = split_url(url)
    try:
        connection = build_connection(url, allow_private)
        try:
            found = talk(connection, path)
        except (OSError, HTTPException, fault):
            if not connection.late:
                raise
        finally:
            connection.end()
        if connection.late:  # an answer that was cut off may look whole
            raise fault(f"{host}: {late} {ANSWER_SECONDS:g} s")
        return found
    except HeadLimitError as error:
        raise fault(f"{host}: {error}") from None
    except HTTPException as error:  # its text is the other side's
        raise fault(f"{host}: no answer in HTTP ({type(error).__name__})") from None
    except OSError as error:
        raise fault(f"{host}: {str(error) or type(error).__name__}") from error


def split_url(url: str) -> tuple[str, str]:
    """Return a URL's host, and what stands in a request's first line."""
    parts = urlsplit(url)
    return parts.hostname or "", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def name_host(url: str) -> str:
    """Return a URL's host, and its port where it names one: logs and errors may show no more of it."""
    return urlsplit(url).netloc


def build_connection(url: str, allow_private: bool) -> GuardedConnection:
    """Return a connection to a URL's host, not yet open. Raises RefusedAddressError and OSError."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    targets = find_targets(host, port, allow_private)
    return GuardedConnection(host, port, targets, _build_tls() if parts.scheme == "https" else None)


@cache
def _build_tls() -> ssl.SSLContext:
    """Return what checks certificates, once: reading the authorities' own takes some 20 ms."""
    return ssl.create_default_context()


def _open(targets: Sequence[Target]) -> socket.socket:
    """Connect to the first target that answers; each gets its share of what is left of CONNECT_SECONDS."""
    failure: OSError | None = None
    until = time.monotonic() + CONNECT_SECONDS
    for nth, (family, address) in enumerate(targets):
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(max(0.01, until - time.monotonic()) / (len(targets) - nth))
        try:
            sock.connect(address)
            return sock
        except OSError as error:
            sock.close()
            failure = failure or error
        except BaseException:  # the job's time-out
            sock.close()
            raise
    raise failure or OSError("it has no address")
