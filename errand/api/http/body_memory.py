"""Room for large bodies: how much of them a process has in memory at once, and the threads that work on them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from errand.api.http.problems import Problem

T = TypeVar("T")
ROOM_BYTES = 64 * 1024 * 1024  # six of the largest mails (10 MiB); while one is parsed it takes about twice that
THREADS = 2  # beside the event loop, which answers all other requests
WAIT_SECONDS = 2.0  # about as long as a Redis that is away is waited for; a client can try again


class BodyRoom:
    """Lets large bodies in as long as there is room, in the order in which they come; works on them in threads."""

    def __init__(self, room_bytes: int = ROOM_BYTES) -> None:
        self._room_bytes = self._free_bytes = room_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="body")  # none before there is work

    @asynccontextmanager
    async def admit(self, size_bytes: int) -> AsyncIterator[None]:
        """Hold so many bytes inside the block. Raises Problem 503 where there is no room within two seconds."""
        size_bytes = min(size_bytes, self._room_bytes)  # a body larger than all of the room comes in alone
        await self._enter(size_bytes)
        try:
            yield
        finally:
            self._free_bytes += size_bytes
            self._let_in()

    async def run(self, call: Callable[[], T]) -> T:
        """Return what `call` returns, called in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def _enter(self, size_bytes: int) -> None:
        place = asyncio.get_running_loop().create_future()
        self._waiting.append((size_bytes, place))
        self._let_in()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await place
        except TimeoutError:
            if place.cancelled():
                detail = "Other large bodies are being taken at the moment. Nothing was stored; try again"
                raise Problem(503, "busy", detail, {"Retry-After": "2"}) from None
        except asyncio.CancelledError:
            if not place.cancelled():  # it was let in just now
                self._free_bytes += size_bytes
            raise
        finally:
            self._let_in()  # those behind one that has left

    def _let_in(self) -> None:
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= self._free_bytes):
            size_bytes, place = self._waiting.popleft()
            if not place.done():
                self._free_bytes -= size_bytes
                place.set_result(None)
