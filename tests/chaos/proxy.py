"""A way to Redis that can be cut: everything that a process says to Redis goes through one of these."""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from errand.local.valkey import find_free_port

T = TypeVar("T")


class Background:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def stop(self) -> None:
        """End the loop with what still runs in it."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)


class Proxy:
    """Passes connections on to the server at `url`, until told otherwise. Its methods may be called from any thread."""

    def __init__(self, background: Background, url: str) -> None:
        self._loop = background.loop
        self._upstream = urlsplit(url)
        self._halves: set[_Half] = set()
        self._stalled = False
        self._cut_after: dict[bool, int] = {}  # by direction (True: to Redis), the bytes that may still pass
        self.port = find_free_port()
        background.run(self._listen())

    @property
    def url(self) -> str:
        """How to reach the server through here."""
        account, at, _ = self._upstream.netloc.rpartition("@")
        return f"redis://{account}{at}127.0.0.1:{self.port}/0"

    def lead_to(self, url: str) -> None:
        """Lead new connections to another server; those that there are stay where they are."""
        self._upstream = urlsplit(url)

    def cut(self) -> None:
        """Reset every connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def cut_after(self, to_redis: bool, bytes: int) -> None:
        """Reset the connection that says the byte after the next `bytes` of this direction, at this byte."""
        self._loop.call_soon_threadsafe(self._cut_after.__setitem__, to_redis, bytes)

    def stall(self) -> None:
        """Let nothing through, without closing anything: connections that are half open."""
        self._loop.call_soon_threadsafe(self._stall)

    def go_on(self, keep: bool) -> None:
        """End a stall: with `keep` all that was said meanwhile arrives late, otherwise the connections are reset."""
        self._loop.call_soon_threadsafe(self._go_on, keep)

    async def _listen(self) -> None:
        await self._loop.create_server(lambda: _Half(self, to_redis=True), "127.0.0.1", self.port)

    async def connect(self, half: "_Half") -> None:
        """Reach the server for a client that has come; where it is away, the client's connection ends."""
        try:
            if self._upstream.scheme == "unix":
                path = unquote(self._upstream.path)
                _, other = await self._loop.create_unix_connection(lambda: _Half(self, to_redis=False), path)
            else:
                host, port = self._upstream.hostname or "", self._upstream.port or 0
                _, other = await self._loop.create_connection(lambda: _Half(self, to_redis=False), host, port)
        except OSError:
            half.transport.abort()
        else:
            half.pair(other)

    def add(self, half: "_Half") -> None:
        """Note one side of a connection."""
        self._halves.add(half)
        if self._stalled:
            half.transport.pause_reading()

    def remove(self, half: "_Half") -> None:
        """Forget one side of a connection."""
        self._halves.discard(half)

    def allow(self, data: bytes, to_redis: bool) -> bytes:
        """Return how much of the data may pass; less than all of it means that the connection is to be cut."""
        left = self._cut_after.get(to_redis)
        if left is None:
            return data
        if left < len(data):
            del self._cut_after[to_redis]
            return data[:left]
        self._cut_after[to_redis] = left - len(data)
        return data

    def _cut(self) -> None:
        for half in list(self._halves):
            half.transport.abort()

    def _stall(self) -> None:
        self._stalled = True
        for half in self._halves:
            half.transport.pause_reading()

    def _go_on(self, keep: bool) -> None:
        self._stalled = False
        for half in list(self._halves):
            with suppress(RuntimeError):
                half.transport.resume_reading()
        if not keep:
            self._cut()


class _Half(asyncio.Protocol):
    """One side of a connection."""

    def __init__(self, proxy: Proxy, to_redis: bool) -> None:
        self._proxy = proxy
        self._to_redis = to_redis
        self._other: _Half | None = None
        self._early = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._proxy.add(self)
        if self._to_redis:
            self._task = asyncio.ensure_future(self._proxy.connect(self))

    def pair(self, other: "_Half") -> None:
        """Join both sides."""
        self._other, other._other = other, self
        if self.transport.is_closing():
            other.transport.abort()
        elif self._early:
            self.data_received(self._early)

    def data_received(self, data: bytes) -> None:
        if self._other is None:  # the server has not been reached yet
            self._early += data
            return
        allowed = self._proxy.allow(data, self._to_redis)
        self._other.transport.write(allowed)
        if len(allowed) < len(data):
            self._other.transport.close()  # after what was allowed has left
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._proxy.remove(self)
        if self._other is not None:
            self._other.transport.close()
