"""HEAD wherever GET is."""

from starlette.types import ASGIApp, Receive, Scope, Send

_MARK = "errand.is_head"


class HeadAsGet:
    """Serves HEAD as GET (RFC 9110, section 9.3.2); the server itself leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET", _MARK: True}
        await self._app(scope, receive, send)


def is_head(scope: Scope) -> bool:
    """Return whether a GET is served for a HEAD: a stream is not begun for one."""
    return _MARK in scope
