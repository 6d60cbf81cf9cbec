"""The methods of a path: HEAD wherever GET is, and `Allow` with all of them where one is refused."""

from collections.abc import Iterable, Mapping

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

_MARK = "errand.is_head"
OTHERS = ("POST", "PUT", "PATCH", "DELETE", "OPTIONS")  # beside GET, which brings HEAD


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


class RefuseMethod:
    """The endpoint for what no other route of a path takes: 405 where the path has any method, else 404."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse one request. Raises HTTPException, whose handler adds `Allow`."""
        raise HTTPException(405 if list_methods(scope) else 404)


def list_methods(scope: Scope) -> list[str]:
    """Return the methods that the path of a request has in the application that refuses it, in a fixed order."""
    return [*(("GET", "HEAD") if _has(scope, "GET") else ()), *(method for method in OTHERS if _has(scope, method))]


def allow_methods(scope: Scope, headers: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return the headers of a 405, whose `Allow` names all methods of the path, not only those of one route.

    A mounted application, and an endpoint that refuses a method of its own route, send their own.
    """
    given = headers or {}
    methods = list_methods(scope)
    if "Allow" in given and (_is_in_mount(scope) or read_method(scope) in methods):
        return given
    return {**given, "Allow": ", ".join(methods)}


def read_method(scope: Scope) -> str:
    """Return the method as the client sent it."""
    return "HEAD" if is_head(scope) else str(scope["method"])


def _is_in_mount(scope: Scope) -> bool:
    mounts = (route for route in scope["app"].routes if isinstance(route, Mount))
    return any(mount.app is scope.get("endpoint") for mount in mounts)


def _has(scope: Scope, method: str) -> bool:
    routes: Iterable[BaseRoute] = scope["app"].routes
    asked = {**scope, "method": method}
    route = next((route for route in routes if route.matches(asked)[0] is Match.FULL), None)
    return route is not None and not isinstance(getattr(route, "endpoint", None), RefuseMethod)
