"""Where the console's pages lie, whichever there are, so that a test of all pages forgets none."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from errand.api.console.mount import VIEWS


def list_pages(known: Mapping[str, Iterable[str]] | None = None) -> list[str]:
    """Return the paths of all pages: of those with a parameter one for each value that `known` has for it.

    `known` names a parameter by the path up to its end: "/jobs/{id}". Without it, only pages that need none.
    """
    if known is None:
        return ["/console" + view.path for view in VIEWS if "{" not in view.path]
    return [f"/console{path}" for view in VIEWS for path in _fill(view.path, known)]


def _fill(path: str, known: Mapping[str, Iterable[str]]) -> list[str]:
    begin = re.match(r"[^{]*\{\w+\}", path)
    if begin is None:
        return [path]
    if begin[0] not in known:
        raise KeyError(f"tests/console_pages.py: a test of all pages has no value for {begin[0]}; give it one")
    name = re.compile(r"\{\w+\}$")
    return [name.sub(quote(value, safe=""), begin[0]) + path[begin.end() :] for value in known[begin[0]]]
