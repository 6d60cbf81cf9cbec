"""Signing in and out."""

import logging
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from errand.api.console.access.guard import FOREIGN, write_cookie
from errand.api.console.access.session import Sessions
from errand.api.console.form import read_form
from errand.api.console.render import PATH, Renderer, send_html
from errand.api.http.prefix import link
from errand.api.http.problems import Problem
from errand.api.wrong_passwords import WrongPasswords, describe_wait, find_address

logger = logging.getLogger("errand.api")


class Login:
    """The page that asks for a password, and what it sends."""

    def __init__(self, renderer: Renderer, sessions: Sessions, tries: WrongPasswords) -> None:
        self._renderer = renderer
        self._sessions = sessions
        self._tries = tries

    async def show(self, request: Request) -> Response:
        """Return the page, or a redirect where no password is needed."""
        goal = find_goal(request.query_params.get("next", ""))
        if self._sessions.is_open:
            return RedirectResponse(goal)
        return self._show(request, goal)

    async def sign_in(self, request: Request) -> Response:
        """Sign in by the password that was sent. Raises Problem 403 where another site's page sent it."""
        if request.scope[FOREIGN]:
            raise refuse_foreign()
        form, address = await read_form(request), find_address(request.scope)
        goal = find_goal(form.get("next"))
        wait = self._tries.find_wait(address)
        if wait:
            return self._show(request, goal, describe_wait(wait), 429, {"Retry-After": str(wait)})
        password = form.get("password")
        role = self._sessions.judge(password)
        if role is None:
            self._tries.note(address, "Console", password.encode())
            return self._show(request, goal, "Wrong password.", 403)
        logger.info("Console: sign-in from %s with the right to %s", address, role)
        return _lead(goal, self._sessions.make(role), request)

    async def sign_out(self, request: Request) -> Response:
        """End the session. Raises Problem 403."""
        if request.scope[FOREIGN]:
            raise refuse_foreign()
        return _lead(self._renderer.url_for("login"), "", request, 0)

    def _show(
        self, request: Request, goal: str, fault: str = "", status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:
        html = self._renderer.render("login.html", goal=goal, fault=fault)
        return send_html(request, html, status, headers)


def refuse_foreign() -> Problem:
    """Return the 403 for a change that another site's page sent."""
    return Problem(403, "cross-site", "Only the console's own pages can change anything")


def find_goal(asked: str) -> str:
    """Return where to go after signing in: a page of the console, whatever was asked for."""
    home = link(PATH)
    parts = urlsplit(asked) if asked.isprintable() and "\\" not in asked else urlsplit("")
    is_ours = not parts.scheme and not parts.netloc and (parts.path == home or parts.path.startswith(f"{home}/"))
    return asked if is_ours else home


def _lead(goal: str, cookie: str, request: Request, *seconds: int) -> Response:
    answer = RedirectResponse(goal, 303)
    answer.headers["Set-Cookie"] = write_cookie(cookie, request.scope, PATH, *seconds)
    return answer
