"""Where the console's pages lie, whichever there are, so that a test of all pages forgets none."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from errand.api.console.mount import VIEWS
from errand.api.console.views import mail

_PARAMETER = re.compile(r"\{\w+\}")
Known = Mapping[str, Iterable[str]]


def list_pages(known: Known | None = None) -> list[str]:
    """Return the paths of all pages: of those with a parameter one for each value that `known` has for it.

    `known` names a parameter by the page's path, or by that path up to the parameter's end: "/jobs/{id}" is for what
    lies below it, too. Without it, only pages that need none. Those of mails are there where it knows one.
    """
    if known is None:
        return ["/console" + view.path for view in VIEWS if "{" not in view.path]
    views = [*VIEWS, *(mail.VIEWS if "/mail/{name}" in known else [])]
    return [f"/console{path}" for view in views for path in _fill(view.path, known)]


def _fill(path: str, known: Known) -> list[str]:
    found = _PARAMETER.search(path)
    if found is None:
        return [path]
    begin = path[: found.end()]
    values = known.get(path, known.get(begin))
    if values is None:
        raise KeyError(f"tests/support/console_pages.py: a test of all pages has no value for {begin}; give it one")
    return [path[: found.start()] + quote(value, safe="") + path[found.end() :] for value in values]
