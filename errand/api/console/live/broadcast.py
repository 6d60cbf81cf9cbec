"""Rendering a page once a second for all its viewers, as long as it has one."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from redis import RedisError

from errand.api.console.page import Snapshot
from errand.api.http.problems import Problem
from errand.contract.errors import name_type
from errand.redis import keys
from errand.store.watch.watcher import Watch, Watcher

PERIOD_SECONDS = 1.0  # soon enough for somebody who watches
PAGES_LIMIT = 200  # that have viewers: a process renders each of them once a second
STREAMS_LIMIT = 2000  # each holds a connection of the process

logger = logging.getLogger("errand.api")
Take = Callable[[], Awaitable[Snapshot]]


class FullError(Exception):
    """Raised when too many pages have viewers, or all pages have too many together."""


@dataclass(frozen=True)
class Away:
    """A page that can't be read at the moment: Redis is away or refuses."""


@dataclass(frozen=True)
class Gone:
    """A page about something that is gone."""


State = Snapshot | Away | Gone


@dataclass(eq=False)
class WatchedPage:
    """A page that has viewers; `bell` rings when the last of them leaves."""

    take: Take
    state: State | None = None
    watches: set[Watch[State | None]] = field(default_factory=set)
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Broadcast:
    """The pages of a process that have viewers, by a key that all viewers of a page share.

    A viewer that reads slowly misses states and delays nobody else.
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._pages: dict[str, WatchedPage] = {}
        self._streams = 0

    @property
    def is_stopping(self) -> bool:
        """Whether the process is about to end."""
        return self._watcher.is_stopping

    def find(self, key: str) -> Snapshot | None:
        """Return a page that has viewers as it was a second ago at most, None where it has to be read."""
        page = self._pages.get(key)
        return page.state if page and isinstance(page.state, Snapshot) else None

    def check(self, key: str) -> None:
        """Raise FullError where that page can't have one more viewer."""
        if self._streams >= STREAMS_LIMIT or (key not in self._pages and len(self._pages) >= PAGES_LIMIT):
            raise FullError

    @contextmanager
    def look(self, key: str, take: Take) -> Iterator[Watch[State | None]]:
        """View a page, which `take` reads, until the block ends. Its state is None until it was first read."""
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = WatchedPage(take)
            page.task = asyncio.create_task(self._run(key, page))
        watch: Watch[State | None] = Watch(page.state)
        page.watches.add(watch)
        self._streams += 1
        try:
            yield watch
        finally:
            self._streams -= 1
            page.watches.discard(watch)
            if not page.watches:
                page.bell.set()

    async def _run(self, key: str, page: WatchedPage) -> None:
        try:
            while page.watches and not self.is_stopping:
                begun = time.monotonic()
                self._publish(page, await _take(page))
                took = time.monotonic() - begun
                await _rest(page, max(PERIOD_SECONDS - took, took))  # a slow page takes half of the time at most
        finally:
            if self._pages.get(key) is page:
                del self._pages[key]
            for watch in page.watches:  # the process stops, which their streams must see
                watch.ring()

    def _publish(self, page: WatchedPage, state: State) -> None:
        before = page.state
        is_same = isinstance(before, Snapshot) and isinstance(state, Snapshot) and before.event_id == state.event_id
        if is_same or before == state:
            return
        page.state = state
        for watch in page.watches:
            watch.notify(state)


async def _take(page: WatchedPage) -> State:
    """Return the page as it is now; why it can't be read is logged once, not once a second."""
    try:
        async with asyncio.timeout(keys.API_SECONDS):
            return await page.take()
    except (RedisError, OSError, TimeoutError) as error:
        if not isinstance(page.state, Away):
            logger.warning("A page of the console stands still: Redis is away, or refuses (%s)", name_type(error))
    except Problem as problem:
        return Gone() if problem.status == 404 else Away()
    except Exception as error:  # a fault of ours in one page, whose viewers wait for the next second
        if not isinstance(page.state, Away):
            logger.error("A page of the console can't be shown: %s", name_type(error), exc_info=error)
    return Away()


async def _rest(page: WatchedPage, seconds: float) -> None:
    """Wait so long, or until the page has no viewers."""
    try:
        async with asyncio.timeout(seconds):
            while page.watches:
                await page.bell.wait()
                page.bell.clear()
    except TimeoutError:
        return
