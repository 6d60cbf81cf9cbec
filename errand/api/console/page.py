"""What a page is: sections, each sent again to the page's viewers when it has changed."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

from errand.api.console.cache import Cache
from errand.api.console.mail.folder import Mails
from errand.api.store import Store

VALUE_LIMIT = 300  # characters of a parameter; the longest that means something is a cursor
EVENTS_KEPT = 64  # of one snapshot, one for each older state that a viewer has; most have the same


@dataclass(frozen=True)
class Look:
    """A look at a page: the store, what the path and the query say, and whether the viewer may change things.

    `cache` has what is read less often than once a second, `mails` what the local mail server has kept, where it runs.
    """

    store: Store
    path: Mapping[str, str]
    query: Mapping[str, str]
    may_change: bool
    cache: Cache
    mails: Mails | None = None

    @property
    def key(self) -> str:
        """What is the same for all looks at one page with the same rights."""
        return json.dumps([sorted(self.path.items()), sorted(self.query.items()), self.may_change])


@dataclass(frozen=True)
class Content:
    """What a page has to show: for each section what its template needs, and what the page's own template needs."""

    title: str
    sections: Mapping[str, Mapping[str, Any]]
    page: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True)
class View:
    """A page: its route's name, which is the folder of its templates, its path, and what reads it.

    `read` raises Problem, RedisError and TimeoutError. `entry` is the entry of the navigation that it belongs to,
    `query` the parameters that it knows; others are ignored.
    """

    name: str
    path: str
    read: Callable[[Look], Awaitable[Content]]
    entry: str
    query: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """A page as it was at one moment, its sections rendered."""

    title: str
    status: int
    page: Mapping[str, Any]
    sections: Mapping[str, str]
    _events: dict[str, bytes] = field(default_factory=dict)

    @cached_property
    def event_id(self) -> str:
        """The id of the event that brings a page to this state: a digest of each section, in their order."""
        return ".".join(_digest(html) for html in self.sections.values())

    def write_event(self, seen: str) -> bytes:
        """Return the event for a page that has `seen` the state of that id, b"" where nothing has changed since.

        It is made once for all pages in the same state.
        """
        if seen not in self._events:
            if len(self._events) >= EVENTS_KEPT:  # more than viewers have: somebody makes ids up
                return self._build_event(seen)
            self._events[seen] = self._build_event(seen)
        return self._events[seen]

    def _build_event(self, seen: str) -> bytes:
        known = seen.split(".")
        known += [""] * (len(self.sections) - len(known))
        pairs = zip(self.sections.items(), known, self.event_id.split("."), strict=False)
        changed = [_wrap(name, html) for (name, html), before, now in pairs if before != now]
        if not changed:
            return b""
        lines = "".join(changed).splitlines()
        return "".join([*(f"data: {line}\n" for line in lines), f"id: {self.event_id}\n\n"]).encode()


def _wrap(name: str, html: str) -> str:
    return f'<hx-partial hx-target="#s-{name}" hx-swap="innerMorph">{html}</hx-partial>'


def _digest(html: str) -> str:
    return sha256(html.encode()).hexdigest()[:8]
