"""What a page is: sections, each of which is sent anew to those who look at it when it has changed."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

from errand.api.console.cache import Cache
from errand.api.console.mail.folder import Mails
from errand.api.store import Store

EVENTS_KEPT = 64  # of one state, by what was seen before


@dataclass(frozen=True)
class Look:
    """A look at a page: the store, what the path and the query say, and whether who looks may change things.

    `keep` has what is read less often than once a second, `mails` what the local mail server has kept, where it runs.
    """

    store: Store
    path: Mapping[str, str]
    query: Mapping[str, str]
    may_change: bool
    cache: Cache
    mails: Mails | None = None

    @property
    def key(self) -> str:
        """What is the same for all looks at the same page."""
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
    `query` the parameters that it knows; others are passed over.
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
    def mark(self) -> str:
        """Which state of the sections this is, as the id of an event: a digest of each, in their order."""
        return ".".join(_digest(html) for html in self.sections.values())

    def write_event(self, seen: str) -> bytes:
        """Return the event that brings a page up to date that has `seen` those sections, b"" where nothing changed.

        It is made once for all that have seen the same.
        """
        if seen not in self._events:
            if len(self._events) >= EVENTS_KEPT:  # somebody makes them up
                return self._build_event(seen)
            self._events[seen] = self._build_event(seen)
        return self._events[seen]

    def _build_event(self, seen: str) -> bytes:
        known = seen.split(".")
        known += [""] * (len(self.sections) - len(known))
        pairs = zip(self.sections.items(), known, self.mark.split("."), strict=False)
        changed = [_wrap(name, html) for (name, html), before, now in pairs if before != now]
        if not changed:
            return b""
        lines = "".join(changed).splitlines()
        return "".join([*(f"data: {line}\n" for line in lines), f"id: {self.mark}\n\n"]).encode()


def _wrap(name: str, html: str) -> str:
    return f'<hx-partial hx-target="#s-{name}" hx-swap="innerMorph">{html}</hx-partial>'


def _digest(html: str) -> str:
    return sha256(html.encode()).hexdigest()[:8]
