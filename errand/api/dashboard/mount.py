"""`/dashboard`: rq-dashboard behind its password."""

import base64
import hmac
import logging
from functools import partial
from typing import Any, cast

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from errand.api.http.loopback import is_same_site
from errand.api.http.prefix import link
from errand.api.http.problems import Problem
from errand.api.settings import ApiSettings
from errand.api.wrong_passwords import WrongPasswords, describe_wait, find_address
from errand.redis.connection import Connector
from errand.redis.failover import renew

logger = logging.getLogger("errand.api")

PATH = "/dashboard"


def mount(app: FastAPI, settings: ApiSettings, redis_url: str, connector: Connector | None = None) -> None:
    """Add the dashboard where it may be shown: with a password, or under `errand up` on loopback.

    One that can't be built is logged, and the API serves on without it.
    """
    if not settings.dashboard_password and not settings.local:
        return
    try:
        from a2wsgi import WSGIMiddleware

        from errand.api.dashboard.patches import build_dashboard

        built = build_dashboard(redis_url, app.state.store.types, connector)
        app.state.store.server.failover.leaves.append(partial(renew, built.redis_conn))
        dashboard = cast(ASGIApp, WSGIMiddleware(cast(Any, built)))
    except Exception:  # another project's code must not stop the API
        logger.exception("The dashboard can't be built; %s answers 404", PATH)
        return
    app.add_api_route(PATH, _add_slash, include_in_schema=False)
    app.mount(PATH, Guarded(dashboard, settings.dashboard_password, app.state.wrong_passwords))


async def _add_slash() -> RedirectResponse:
    return RedirectResponse(link(f"{PATH}/"))


class Guarded:
    """Asks for the password (Basic, any user name), and takes changes from the dashboard's own pages only.

    An ASGI wrapper, since FastAPI's dependencies do not reach a mounted application.
    """

    def __init__(self, app: ASGIApp, password: str, tries: WrongPasswords) -> None:
        self._app = app
        self._password = password.encode()
        self._tries = tries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        problem = self._judge(scope)
        await (problem.render() if problem else self._app)(scope, receive, send)

    def _judge(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        if self._password and (problem := self._judge_password(scope, _read_password(headers))):
            return problem
        if scope.get("method") not in ("GET", "HEAD") and is_same_site(headers) is not True:
            return Problem(403, "cross-site", "Changes are taken from the dashboard's own pages only")
        return None

    def _judge_password(self, scope: Scope, given: bytes) -> Problem | None:
        address = find_address(scope)
        if given and (wait := self._tries.find_wait(address)):
            return Problem(429, "too-many-tries", describe_wait(wait), {"Retry-After": str(wait)})
        if hmac.compare_digest(given, self._password):
            return None
        if given:
            self._tries.note(address, "Dashboard", given)
        ask = {"WWW-Authenticate": 'Basic realm="Errand dashboard", charset="UTF-8"'}
        return Problem(401, "no-password", "The dashboard asks for DASHBOARD_PASSWORD, under any user name", ask)


def _read_password(headers: Headers) -> bytes:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2] if scheme.lower() == "basic" else b""
    except ValueError:  # not base64, or not even ASCII
        return b""
