"""Keeping an API without keys to this machine: pages of other sites can't reach it through the browser."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from errand.api.http.problems import Problem

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
ADDRESSES = ("localhost", "127.0.0.1", "::1")


def is_same_site(headers: Headers) -> bool | None:
    """Return whether a browser sent this from a page of ours; None where nothing says so, as for other clients.

    `Sec-Fetch-Site` (Fetch Metadata) says so, or else `Origin`, without its scheme, which differs from ours behind a
    proxy that ends TLS.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return None if origin is None else origin.partition("://")[2] == headers.get("host", "")


class LoopbackOnly:
    """Refuses connections from elsewhere, other hosts (DNS rebinding) and changes from other sites' pages (CSRF)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host = headers.get("host", "")
            name = host if host in LOOPBACK else host.rpartition(":")[0]
            address, _ = scope["server"]  # where the connection came in, whatever the client says in Host
            if name not in LOOPBACK or address not in ADDRESSES:
                problem = Problem(421, "not-loopback", "Under `errand up` this API answers on loopback only")
                return await problem.render()(scope, receive, send)
            if scope["method"] not in ("GET", "HEAD", "OPTIONS") and is_same_site(headers) is False:
                problem = Problem(403, "cross-site", "Another site's page may not change anything here")
                return await problem.render()(scope, receive, send)
        return await self._app(scope, receive, send)
