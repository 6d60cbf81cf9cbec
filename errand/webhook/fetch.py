"""Reading a file from a URL, over connections that go only to public addresses (as webhooks do)."""

from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urljoin

from errand.contract.errors import PermanentError
from errand.webhook.address import check_url
from errand.webhook.request import exchange, split_url

HOP_LIMIT = 3  # redirects, each checked as the first URL is; storage behind a stable link needs one or two
_REDIRECTS = (301, 302, 303, 307, 308)
_AGAIN = (408, 425, 429)  # the 4xx that mean «not now» (RFC 9110, 8470, 6585)
_PIECE_BYTES = 64 * 1024  # read at once


class UnreadError(Exception):
    """Raised when a file can't be read now; worth another try. The text names the host and no more of the URL."""


class UnreadableError(PermanentError):
    """Raised when a file can't be read at all: it isn't there, it is too large, or its address is refused."""


def fetch(url: str, limit_bytes: int, allow_private: bool) -> bytes:
    """Return what is at an https URL, at most `limit_bytes`, which has to come within ANSWER_SECONDS of connecting.

    Raises RefusedAddressError, UnreadableError and UnreadError.
    """
    for _ in range(HOP_LIMIT + 1):
        try:
            check_url(url, allow_private)
        except ValueError as error:
            raise UnreadableError(f"its URL, or where that leads to, is refused: {error}") from None
        content, target = _get(url, limit_bytes, allow_private)
        if target is None:
            return content
        url = urljoin(url, target)
    raise UnreadableError(f"{split_url(url)[0]}: more than {HOP_LIMIT} redirects")


def _get(url: str, limit_bytes: int, allow_private: bool) -> tuple[bytes, str | None]:
    """Return what is at a URL, or where its redirect leads."""
    host, _ = split_url(url)

    def talk(connection: HTTPConnection, path: str) -> tuple[bytes, str | None]:
        connection.request("GET", path, headers={"User-Agent": "Errand", "Accept-Encoding": "identity"})
        return _read(connection.getresponse(), host, limit_bytes)

    return exchange(url, allow_private, talk, UnreadError, "the file did not come within")


def _read(response: HTTPResponse, host: str, limit_bytes: int) -> tuple[bytes, str | None]:
    status, target = response.status, response.getheader("Location")
    if status in _REDIRECTS and target:
        return b"", target
    if 400 <= status < 500 and status not in _AGAIN:
        raise UnreadableError(f"{host} answered {status}")
    if status != 200:
        raise UnreadError(f"{host} answered {status}")
    pieces, left_bytes = [], limit_bytes + 1
    while left_bytes > 0 and (piece := response.read(min(_PIECE_BYTES, left_bytes))):
        pieces.append(piece)
        left_bytes -= len(piece)
    if left_bytes <= 0:
        raise UnreadableError(f"{host}: the file is larger than the {limit_bytes:,} bytes that are left for it")
    if response.length:  # http.client does not notice that an answer ends early when it is read in pieces
        raise UnreadError(f"{host}: the answer ended {response.length:,} bytes early")
    return b"".join(pieces), None
