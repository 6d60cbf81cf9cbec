"""Endpoints: whole pages, their streams, changes and pages for errors, each for those who may see it."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from errand.api.console.access.guard import FOREIGN, ROLE, STORE
from errand.api.console.access.login import refuse_foreign
from errand.api.console.cache import Cache
from errand.api.console.changes.change import Action, Change, Done
from errand.api.console.form import read_form
from errand.api.console.live.broadcast import Broadcast
from errand.api.console.live.stream import stream_page
from errand.api.console.mail.folder import Mails
from errand.api.console.notices import COUNT, NOTICE, find_notice
from errand.api.console.page import VALUE_LIMIT, Look, Snapshot, View
from errand.api.console.render import PATH, Renderer, send_html
from errand.api.http.deadline import redis_deadline
from errand.api.http.methods import allow_methods
from errand.api.http.prefix import link
from errand.api.http.problems import Problem
from errand.api.store import Store
from errand.redis import keys

TITLES = {403: "Refused", 404: "Not found", 405: "Not possible", 422: "Not understood", 503: "Not available"}
RETRY_SECONDS = 3  # after which a page for a 503 loads itself again; Redis is asked that often by each open one

logger = logging.getLogger("errand.api")
Endpoint = Callable[[Request], Awaitable[Response]]
Answer = Callable[[Request, Look, Renderer], Awaitable[Response]]


@dataclass(frozen=True)
class Shared:
    """What all viewers have in common, over one store."""

    store: Store
    broadcast: Broadcast
    cache: Cache


class Endpoints:
    """Makes endpoints of views, answers and actions."""

    def __init__(self, renderer: Renderer, mails: Mails | None = None) -> None:
        self.renderer = renderer
        self._mails = mails
        self._shared: Shared | None = None

    def open(self, endpoint: Answer, is_page: bool = True, seconds: float | None = keys.API_SECONDS) -> Endpoint:
        """Return an endpoint for those who may look; others are led to the login if it `is_page`, else refused.

        Redis has so many `seconds` for all that it is asked.
        """

        async def serve(request: Request) -> Response:
            if request.scope[FOREIGN]:
                raise refuse_foreign()
            if request.scope[ROLE] is None:
                return self._ask_password(request, is_page)
            try:
                async with redis_deadline(seconds=seconds):
                    return await endpoint(request, self._look(request, ()), self.renderer)
            except HTTPException:
                raise
            except Exception as error:
                logger.error("A page of the console can't be shown", exc_info=error)
                raise Problem(500, "internal", "This is a fault in Errand; the log has the details") from error

        return serve

    def show(self, view: View) -> Endpoint:
        """Return the endpoint for a whole page."""

        async def serve(request: Request, _: Look, renderer: Renderer) -> Response:
            look = self._look(request, view.query)
            snapshot = self._share(request).broadcast.find(_name(view, look)) or await self._take(view, look)
            return renderer.show(request, view, look, snapshot, find_notice(request.query_params))

        return self.open(serve)

    def stream(self, view: View) -> Endpoint:
        """Return the endpoint for what changes on a page."""

        async def serve(request: Request, _: Look, renderer: Renderer) -> Response:
            look = self._look(request, view.query)
            broadcast, version = self._share(request).broadcast, self.renderer.version
            return stream_page(request, broadcast, _name(view, look), lambda: self._take(view, look), version)

        return self.open(serve, is_page=False)

    def change(self, action: Action) -> Endpoint:
        """Return the endpoint for a change: for those who may make it, from a page of the console. Each is logged."""

        async def serve(request: Request, look: Look, renderer: Renderer) -> Response:
            if not look.may_change:
                raise Problem(403, "read-only", "A session with CONSOLE_READ_PASSWORD can’t change anything")
            form = await read_form(request, action.bytes_limit)
            detail = "Redis did not answer; what you asked for may have been done"
            async with redis_deadline(detail, seconds=action.seconds):
                done = await action.act(Change(look, form, renderer))
            if not isinstance(done, Done):
                assert action.view
                return renderer.show(request, action.view, look, renderer.take(action.view, look, done))
            address = request.client.host if request.client else "?"
            logger.info("Console: %s, asked for from %s", done.logged, address)
            return RedirectResponse(_lead(done), 303)

        return self.open(serve, is_page=False, seconds=None)  # a large form may take longer to arrive

    async def show_problem(self, request: Request, error: Exception) -> Response:
        """Return the page for a problem; for a 503 it loads itself again."""
        assert isinstance(error, HTTPException)
        status, details = error.status_code, {404: "There is no such page.", 405: "That is not possible here."}
        detail = error.detail if isinstance(error, Problem) else details.get(status, error.detail)
        html = self.renderer.render(
            "problem.html", title=TITLES.get(status, "Error"), detail=detail, is_known=request.scope[ROLE] is not None
        )
        headers = allow_methods(request.scope, error.headers) if status == 405 else error.headers or {}
        again = {"Refresh": str(RETRY_SECONDS)} if status == 503 and request.method == "GET" else {}
        return send_html(request, html, status, {**headers, **again})

    def _ask_password(self, request: Request, is_page: bool) -> Response:
        """Return a redirect to the login. Raises Problem 401 where no page was asked for."""
        if not is_page or request.method not in ("GET", "HEAD"):
            raise Problem(401, "no-session", "Sign in first")
        if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
            # A SameSite=Strict cookie is not sent after a link on another site, but when this page loads itself again.
            html = self.renderer.render("problem.html", title="Opening", detail="One moment …", is_known=False)
            return send_html(request, html, headers={"Refresh": "0"})
        here = request.scope["path"].removeprefix(request.scope["root_path"]).removesuffix("/")
        goal = f"{link(PATH)}{quote(here)}?{request.url.query}".removesuffix("?")
        return RedirectResponse(self.renderer.url_for("login", {"next": goal}))

    def _look(self, request: Request, known: tuple[str, ...]) -> Look:
        asked = {name: value for name in known if (value := request.query_params.get(name, "")[:VALUE_LIMIT])}
        shared = self._share(request)
        return Look(shared.store, request.path_params, asked, bool(request.scope[ROLE]), shared.cache, self._mails)

    def _share(self, request: Request) -> Shared:
        """Return what viewers have in common; made again where the application has another store."""
        store: Store = request.scope[STORE]
        if self._shared is None or self._shared.store is not store:
            self._shared = Shared(store, Broadcast(store.watcher), Cache())
        return self._shared

    async def _take(self, view: View, look: Look) -> Snapshot:
        return self.renderer.take(view, look, await view.read(look))


def _lead(done: Done) -> str:
    """Return the address of the page to go to, with its notice."""
    said = {NOTICE: done.notice, **({} if done.count is None else {COUNT: done.count})}
    return f"{done.goal}{'&' if '?' in done.goal else '?'}{urlencode(said)}" if done.notice else done.goal


def _name(view: View, look: Look) -> str:
    """Return the key of a page in the broadcast; the prefix is in it, since it is in the page's links."""
    return f"{link(PATH)} {view.name} {look.key}"
