"""Rendering templates: every value in them is escaped unless it was rendered here."""

import gzip
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router

from errand.api.console import formatting
from errand.api.console.access.guard import SESSION
from errand.api.console.files import load_files, takes_gzip
from errand.api.console.page import Content, Look, Snapshot, View
from errand.api.http.prefix import link

PATH = "/console"
FOLDER = Path(__file__).parent / "templates"
NAVIGATION = (  # a page's name, its label, and the key that opens it, after a g
    ("overview", "Overview", "o"),
    ("jobs", "Jobs", "j"),
    ("batches", "Batches", "b"),
    ("schedules", "Schedules", "s"),
    ("queues", "Queues", "q"),
    ("workers", "Workers", "w"),
    ("mail", "Mail", "m"),
)
# Of what is sent as it came from outside: a browser that opens it runs and loads nothing.
RAW_HEADERS = {"Content-Security-Policy": "sandbox; default-src 'none'", "Cache-Control": "no-store"}
GZIP_BYTES = 1024  # shorter answers fit into one packet anyway


class Renderer:
    """Renders pages, and what belongs to them; `router` has the routes that they link to."""

    def __init__(self, router: Router, views: Mapping[str, View]) -> None:
        self._router = router
        self._env = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._env.filters.update(formatting.FILTERS)
        self._env.globals.update(
            url_for=self.url_for, file_for=self.file_for, link=link, may=lambda name: name in views, PAGES=NAVIGATION
        )

    def url_for(self, name: str, /, query: Mapping[str, Any] | None = None, **path: str) -> str:
        """Return the path of a route as this request's client reaches it, with a query of what is not None or ""."""
        found = self._formats[name].format_map({key: quote(value, safe="") for key, value in path.items()})
        asked = urlencode({key: value for key, value in query.items() if value not in (None, "")}) if query else ""
        return link(PATH + found).removesuffix("/") + (f"?{asked}" if asked else "")

    @cached_property
    def _formats(self) -> dict[str, str]:
        """The paths by name, once the router has its routes: it would look through all of them for each link."""
        return {route.name: route.path_format for route in self._router.routes if isinstance(route, Route)}

    def file_for(self, name: str) -> str:
        """Return the path of a file, which changes with what is in it."""
        return self.url_for("file", digest=load_files()[name].digest, name=name)

    @cached_property
    def version(self) -> str:
        """Which version of the console this is: a digest of its templates and files."""
        templates = [path.read_bytes() for path in sorted(FOLDER.glob("**/*.html"))]
        digests = [file.digest.encode() for _, file in sorted(load_files().items())]
        return sha256(b"\n".join([*templates, *digests])).hexdigest()[:12]

    def render(self, template: str, **values: Any) -> str:
        """Return a template as text."""
        return self._env.get_template(template).render(values)

    def take(self, view: View, look: Look, content: Content) -> Snapshot:
        """Return a page's sections, rendered."""
        sections = {
            name: self.render(f"{view.name}/{name}.html", may_change=look.may_change, **values)
            for name, values in content.sections.items()
        }
        return Snapshot(content.title, content.status, content.page, sections)

    def show(self, request: Request, view: View, look: Look, snapshot: Snapshot, notice: str | None = None) -> Response:
        """Return a whole page; `notice` is what it says after a change."""
        asked = {**look.query, "seen": snapshot.event_id, "version": self.version}
        html = self.render(
            f"{view.name}/page.html",
            title=snapshot.title,
            entry=view.entry,
            live=self.url_for(f"live-{view.name}", asked, **look.path),
            may_change=look.may_change,
            notice=notice,
            has_session=has_session(request),
            sections={name: Markup(text) for name, text in snapshot.sections.items()},  # noqa: S704 - rendered here
            **snapshot.page,
        )
        return send_html(request, html, snapshot.status)


def has_session(request: Request) -> bool:
    """Return whether the sender has signed in, and so can sign out."""
    return bool(request.scope.get(SESSION))


def send_html(request: Request, html: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a page, compressed where the client accepts that. It has no secret to leak that way (BREACH)."""
    packed = html.encode()
    given = {"Cache-Control": "no-store", "Vary": "Accept-Encoding", **(headers or {})}
    if len(packed) >= GZIP_BYTES and takes_gzip(request):
        packed = gzip.compress(packed, 4)
        given["Content-Encoding"] = "gzip"
    return HTMLResponse(packed, status, given)
