"""Pages of other origins that may call the API from a browser (CORS, in the Fetch Standard)."""

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from errand.api.http.prefix import strip_prefix

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
TAKEN = ("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID", "Prefer", "X-Request-ID")
SHOWN = (
    "Errand-Unique",
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "Preference-Applied",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
)
OWN = ("/console", "/dashboard")


class CrossOrigin:
    """Lets pages of some origins read answers, without cookies; not those of console and dashboard."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
        self._shared = CORSMiddleware(
            app, allow_origins=origins, allow_methods=METHODS, allow_headers=TAKEN, expose_headers=SHOWN
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_shared = scope["type"] == "http" and not _is_own(scope)
        await (self._shared if is_shared else self._app)(scope, receive, send)


def _is_own(scope: Scope) -> bool:
    path = strip_prefix({**scope, "path": strip_prefix(scope)})  # the prefix may be there twice: see UnderPrefix
    return path in OWN or path.startswith(tuple(f"{own}/" for own in OWN))


def allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of these origins call `app`; around its other middleware, so they can read a 500 too."""
    build = app.build_middleware_stack  # called when the application starts: until then middleware may be added
    app.build_middleware_stack = lambda: CrossOrigin(build(), origins)  # type: ignore[method-assign]
