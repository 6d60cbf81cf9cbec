"""Leading a browser from `/` to the console."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import NoMatchFound, Route
from starlette.types import Receive, Scope, Send

from errand.api.http.methods import RefuseMethod
from errand.api.http.prefix import link


def find_console(request: Request) -> str | None:
    """Return the path of the console as this request's client reaches it, None where there is none."""
    try:
        return link(request.app.url_path_for("console"))
    except NoMatchFound:
        return None


def redirect_to_console(request: Request) -> Response | None:
    """Return a redirect to the console for a browser, None for everyone else and where there is no console."""
    console = find_console(request)
    if console is None or "text/html" not in request.headers.get("Accept", ""):
        return None
    return RedirectResponse(console, headers={"Vary": "Accept"})


def redirect_root(app: FastAPI) -> None:
    """Redirect a browser from `/` to the console, unless the application has a route of its own there."""
    app.router.routes.append(Route("/", _Root()))


class _Root(RefuseMethod):
    """Redirects a GET by a browser; refuses the rest, as if there were no `/`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope)
        answer = redirect_to_console(request) if request.method == "GET" else None
        await (answer or super().__call__)(scope, receive, send)
