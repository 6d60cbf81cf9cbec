"""The connections of one server process: how many there may be, and which are too slow."""

import asyncio
import logging
import resource
from collections import Counter, deque
from collections.abc import Sized
from typing import Any, Protocol

logger = logging.getLogger("errand.api")

LOOK_SECONDS = 0.5  # the limits are 2 seconds and more
LOG_SECONDS = 10.0  # an attack would fill the log otherwise
STATE = "errand_connections"
# For Redis (34 at most), what jobs' bodies need, the logs, and connections that are just being closed.
SPARE_FILES = 100


class BoundedConnection(Protocol):
    """A connection that ends itself where its client is too slow, or where others need its place."""

    def look(self) -> str | None:
        """Refuse what is too slow by now; return what it was."""

    def give_way(self) -> bool:
        """Close where no request is being served; return whether it does."""


class Discards:
    """Reads what is thrown away, a piece each time the loop goes round: requests are served in between."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[asyncio.Transport] = deque()

    def read_later(self, transport: asyncio.Transport) -> None:
        """Read no more from a connection before the loop has gone round."""
        transport.pause_reading()
        self._waiting.append(transport)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        transport = self._waiting.popleft()
        if not transport.is_closing():
            transport.resume_reading()
        if self._waiting:
            self._loop.call_soon(self._read_on)


class Connections:
    """Bounds connections by the process's limit of open files, and looks whether each is fast enough.

    Nothing is done for each request, and no timer is set for one: what is too slow is found by looking.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, there: Sized) -> None:
        self._loop, self._there = loop, there
        self._watched: dict[BoundedConnection, None] = {}  # in the order in which they came
        self._refused: Counter[str] = Counter()
        self._limit = find_limit()
        self.discards = Discards(loop)
        self._timer: asyncio.TimerHandle | None = None
        self._log_at = 0.0

    def add(self, connection: BoundedConnection) -> bool:
        """Watch a connection; return whether there is room, for which the oldest that has no request gives way."""
        has_room = len(self._there) <= self._limit or self._make_room()
        if has_room:
            self._watched[connection] = None
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
        return has_room

    def drop(self, connection: BoundedConnection) -> None:
        """Watch it no longer."""
        self._watched.pop(connection, None)

    def note(self, what: str) -> None:
        """Count something that was refused; it is logged once in ten seconds."""
        self._refused[what] += 1

    def _make_room(self) -> bool:
        self.note(f"connections beyond {self._limit}")
        return any(connection.give_way() for connection in list(self._watched))

    def _look(self) -> None:
        for connection in list(self._watched):
            if what := connection.look():
                self.note(what)
        if self._refused and self._loop.time() >= self._log_at:
            counts = ", ".join(f"{count} {what}" for what, count in self._refused.items())
            logger.warning("Refused: %s", counts)
            self._refused.clear()
            self._log_at = self._loop.time() + LOG_SECONDS
        is_needed = self._watched or self._refused
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look) if is_needed else None


def find_connections(server_state: Any, loop: asyncio.AbstractEventLoop) -> Connections:
    """Return the connections of a server, whose state uvicorn gives to each protocol; one for all of them."""
    state: dict[str, Any] = vars(server_state)
    if STATE not in state:
        state[STATE] = Connections(loop, server_state.connections)
    found: Connections = state[STATE]
    return found


def find_limit() -> int:
    """Return how many connections the process's limit of open files leaves room for."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return 1_000_000
    return files - min(SPARE_FILES, files * 3 // 5)
