"""The path under which the API is mounted, or served behind a proxy: every link begins with it."""

from collections.abc import Sequence
from contextvars import ContextVar
from functools import lru_cache
from urllib.parse import quote

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

# A context variable, no argument: links are made deep inside what shows a job, and in streams.
_prefix: ContextVar[str] = ContextVar("prefix", default="")


def link(path: str) -> str:
    """Return one of our paths as this request's client reaches it."""
    return _prefix.get() + path


def strip_prefix(scope: Scope) -> str:
    """Return a request's path without the prefix: the same wherever the API is reached."""
    path: str = scope["path"]
    root = scope.get("root_path", "")
    is_under = root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/")
    return path[len(root) :] if is_under else path


class UnderPrefix:
    """Notes the prefix of each request, which is ASGI's `root_path`, and makes its path begin with that once.

    That is ASGI's rule. But uvicorn (0.54) puts `--root-path` before every path, so a path that no proxy has stripped
    has it twice; other servers and `FastAPI(root_path=…)` put it before none.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            root = scope.get("root_path", "")
            _prefix.set(self._mend(scope, root) if root else "")
        await self._app(scope, receive, send)

    def _mend(self, scope: Scope, root: str) -> str:
        """Mend root path and path; return the prefix as it stands in links."""
        path, (prefix, quoted) = strip_prefix(scope), _clean(root)
        rest = path.removeprefix(prefix)
        if prefix and rest != path and rest[:1] in ("", "/") and not self._has(scope, path):
            path = rest
        scope["root_path"], scope["path"] = prefix, prefix + (path or "/")
        return quoted

    def _has(self, scope: Scope, path: str) -> bool:
        """Return whether we have such a path, which then begins with no second prefix: under `--root-path /v1`, say."""
        asked = {**scope, "root_path": "", "path": path}
        return any(route.matches(asked)[0] is not Match.NONE for route in self._routes)


@lru_cache(64)
def _clean(root: str) -> tuple[str, str]:
    """Return a root path with single slashes before its parts and none behind, and the same for a URL."""
    prefix = "".join(f"/{part}" for part in root.split("/") if part)
    return prefix, quote(prefix, safe="/:@!$&()*+,;=~-._")
