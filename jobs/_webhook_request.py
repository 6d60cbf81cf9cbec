"""One POST to a webhook's URL, over a connection to an address that was looked at before."""

import socket
import ssl
from collections.abc import Mapping, Sequence
from functools import cache
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from jobs._webhook_address import Target, find_targets

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 20.0  # Standard Webhooks asks for 15 to 30


class UndeliveredError(Exception):
    """Raised when a webhook did not arrive, or was not taken; the text names the host and no more of the URL."""


class _Connection(HTTPConnection):
    """Goes to the targets given and nowhere else, whatever the name would lead to a moment later."""

    def __init__(self, host: str, port: int, targets: Sequence[Target], tls: ssl.SSLContext | None) -> None:
        super().__init__(host, port)
        self.default_port = 443 if tls else 80  # left out of the Host header
        self._targets = targets
        self._tls = tls

    def connect(self) -> None:
        """Connect to the first target that answers. Raises OSError."""
        self.sock = _open(self._targets)
        if self._tls:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)
        self.sock.settimeout(ANSWER_SECONDS)


def post(url: str, body: bytes, headers: Mapping[str, str], allow_private: bool) -> int:
    """Send `body`; return the answer's status. No redirect is followed, and of the answer only its head is read.

    Raises RefusedAddressError and UndeliveredError.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        targets = find_targets(host, port, allow_private)
        connection = _Connection(host, port, targets, _build_tls() if parts.scheme == "https" else None)
        try:
            connection.request("POST", path, body, dict(headers))
            return connection.getresponse().status
        finally:
            connection.close()
    except (OSError, HTTPException) as error:
        raise UndeliveredError(f"{host}: {str(error) or type(error).__name__}") from error


@cache
def _build_tls() -> ssl.SSLContext:
    """Return what checks certificates; to read the authorities' takes some 20 ms."""
    return ssl.create_default_context()


def _open(targets: Sequence[Target]) -> socket.socket:
    failure: OSError | None = None
    for family, address in targets:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(CONNECT_SECONDS)
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
