"""The API's pool of connections: only so many, and a caller that finds none waits for one."""

import asyncio
from collections import deque
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool

MOST = 32  # the smallest plans of Redis providers allow some dozens


class PatientPool(ConnectionPool):
    """Opens `MOST` connections at most; redis-py's own pool refuses a request beyond its limit (8.0: 100).

    A caller waits until the deadline of its request, as if Redis did not answer. While there are enough, it costs
    nothing.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.max_connections = MOST
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> AbstractConnection:
        """Return a connection, connected, as soon as there is one; the first to come is served first."""
        while len(self._in_use_connections) >= self.max_connections:
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self._call_next()  # it was this one's turn
                raise
        connection: AbstractConnection = await super().get_connection()  # type: ignore[no-untyped-call]
        return connection

    async def release(self, connection: AbstractConnection) -> None:
        """Take a connection back, and let the next one have it."""
        try:
            await super().release(connection)
        finally:
            self._call_next()

    def _call_next(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
