"""What every request to the console passes: who sent it and from whose page; and the headers of each answer."""

from http.cookies import CookieError, SimpleCookie
from time import time

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from errand.api.console.access.session import COOKIE, SESSION_SECONDS, Session, Sessions
from errand.api.http.loopback import is_same_site
from errand.api.http.prefix import link

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
ROLE, SESSION, FOREIGN = "errand.console.may_change", "errand.console.session", "errand.console.is_foreign"
STORE = "errand.console.store"


class Guard:
    """Writes into each request's scope what its sender may do.

    ROLE is whether they may change things, None for somebody who may not look. SESSION is theirs, None without one.
    FOREIGN is true for a change that another site's page sent. STORE is the API's store.
    """

    def __init__(self, app: Starlette, sessions: Sessions, path: str) -> None:
        self._app = app
        self.routes = app.routes
        self._sessions = sessions
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = Headers(scope=scope)
        await self._sessions.prepare()
        session = self._sessions.read(_read_cookie(headers))
        may_change = True if self._sessions.is_open else session and session.may_change
        is_foreign = scope["method"] not in ("GET", "HEAD") and is_same_site(headers) is not True
        noted = {ROLE: may_change, SESSION: session, FOREIGN: is_foreign, STORE: scope["app"].state.store}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._complete(MutableHeaders(scope=message), scope, session)
            await send(message)

        await self._app({**scope, **noted}, receive, answer)

    def _complete(self, headers: MutableHeaders, scope: Scope, session: Session | None) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if session and session.is_half_over(time()) and "set-cookie" not in headers:
            headers.append("Set-Cookie", write_cookie(self._sessions.make(session.role), scope, self._path))


def _read_cookie(headers: Headers) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return found.value if found else None


def write_cookie(value: str, scope: Scope, path: str, seconds: int = SESSION_SECONDS) -> str:
    """Return the `Set-Cookie` for a session: for the console alone, for no script, for no other site."""
    secure = "; Secure" if _is_https(scope) else ""
    return f"{COOKIE}={value}; Path={link(path)}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def _is_https(scope: Scope) -> bool:
    """Return whether the browser uses https, also behind a proxy that the server does not trust.

    A client that claims it wrongly only gets a cookie that its own browser won't send.
    """
    headers = Headers(scope=scope)
    claims = (scope["scheme"], headers.get("x-forwarded-proto", ""), headers.get("origin", "").partition(":")[0])
    return "https" in claims
