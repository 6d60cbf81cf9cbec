"""A TCP proxy before a Redis server, which does to connections what networks do."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from errand.local.valkey import find_free_port
from tests.support.background import Background

BLOCK_BYTES = 1 << 20  # a message of a test fits into one


@dataclass
class Cut:
    """One connection to be cut, once, at one byte of one message.

    `wanted` knows the message, a request or a reply. With `reply`, a request that is wanted goes through whole and the
    answer to it is cut, but not one that begins with `unless`: then the next wanted request's is. `size` is the cut
    message's whole length in bytes, 0 until the cut is made.
    """

    wanted: Callable[[bytes], bool]
    after_bytes: int
    reply: bool
    unless: bytes | None = None
    size: int = 0


class Proxy:
    """Passes connections on to the server at `url`, until told otherwise. Its methods may be called from any thread."""

    def __init__(self, url: str) -> None:
        self.cuts = 0
        self._upstream = urlsplit(url)
        self._port = find_free_port()
        self._background = Background()
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()
        self._wanted: list[Cut] = []
        self._bytes_left: dict[bool, int] = {}  # by direction (True: to the server), what may pass before a cut
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.accept()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End it with its connections."""
        self.refuse()
        self._background.stop()

    @property
    def url(self) -> str:
        """How to reach the server through here, by the account of its own URL."""
        account, at, _ = self._upstream.netloc.rpartition("@")
        return f"redis://{account}{at}127.0.0.1:{self._port}/0"

    def accept(self) -> None:
        """Take connections."""
        self._background.run(self._listen())

    def refuse(self) -> None:
        """Take no connection any more, and close those that there are."""
        self._background.run(self._close())

    def send_to(self, url: str) -> None:
        """Lead new connections to another server; those that there are stay where they are."""
        self._upstream = urlsplit(url)

    def reset(self) -> None:
        """Reset every connection that there is."""
        self._background.call(self._reset)

    def deafen(self) -> int:
        """Let the connections that there are hear nothing and never end, as behind a router that forgot them.

        New ones are served. Returns how many are deaf.
        """
        return self._background.run(self._deafen())

    def stall(self) -> None:
        """Let nothing through, on new connections neither, and close none."""
        self._background.call(self._flowing.clear)

    def go_on(self, keep: bool) -> None:
        """End a stall: with `keep` all that was sent meanwhile arrives late, otherwise the connections are reset."""
        if not keep:
            self.reset()
        self._background.call(self._flowing.set)

    def cut(self, *parts: bytes, after_bytes: int, reply: bool = False, unless: bytes | None = None) -> Cut:
        """Cut the connection of the next message that holds all of `parts`; see `Cut`."""
        cut = Cut(lambda message: all(part in message for part in parts), after_bytes, reply, unless)
        self._wanted.append(cut)
        return cut

    def lose_reply(self) -> Cut:
        """Cut the connection in place of the next reply to a script that the server knows."""
        return self.cut(b"EVALSHA", after_bytes=0, reply=True, unless=b"-NOSCRIPT")

    def cut_after(self, to_server: bool, bytes: int) -> None:
        """Cut the connection that sends the byte after the next `bytes` of this direction, whichever it is."""
        self._background.call(self._bytes_left.__setitem__, to_server, bytes)

    def find_cut(self, message: bytes, reply: bool) -> Cut | None:
        """Return what is to be cut in a message, and forget it; in a reply only what is to be cut there."""
        found = next((cut for cut in self._wanted if (cut.reply or not reply) and cut.wanted(message)), None)
        if found:
            self._wanted.remove(found)
        return found

    def want_again(self, cut: Cut) -> None:
        """Look for it once more: the answer was not the one to be cut."""
        self._wanted.append(cut)

    def count_bytes(self, message: bytes, to_server: bool) -> int | None:
        """Return after how many of its bytes the message is to be cut, None where it may pass whole."""
        left = self._bytes_left.get(to_server)
        if left is not None and left < len(message):
            return self._bytes_left.pop(to_server)
        if left is not None:
            self._bytes_left[to_server] = left - len(message)
        return None

    async def wait_for_flow(self) -> None:
        """Return once there is no stall."""
        await self._flowing.wait()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Reach the server. Raises OSError."""
        if self._upstream.scheme == "unix":
            return await asyncio.open_unix_connection(unquote(self._upstream.path), limit=BLOCK_BYTES)
        return await asyncio.open_connection(self._upstream.hostname, self._upstream.port, limit=BLOCK_BYTES)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, limit=BLOCK_BYTES)

    async def _close(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        running = [connection.task for connection in self._open if connection.task]
        for connection in self._open:
            connection.end()
        await asyncio.gather(*running, return_exceptions=True)

    async def _deafen(self) -> int:
        for connection in self._open:
            connection.deaf = True
        return len(self._open)

    def _reset(self) -> None:
        for connection in self._open:
            connection.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, writer)
        self._open.add(connection)
        try:
            await connection.run(reader)
        finally:
            self._open.discard(connection)


class _Connection:
    """One client's connection, and the one behind it."""

    def __init__(self, proxy: Proxy, front: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._front = front
        self._back: asyncio.StreamWriter | None = None
        self._next_reply: Cut | None = None
        self._ended = asyncio.Event()
        self.deaf = False
        self.task = asyncio.current_task()

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Pass on in both directions until one side closes, or the connection is cut."""
        with suppress(OSError):
            back_reader, self._back = await self._proxy.connect()
            ways = [
                asyncio.create_task(self._pass(reader, self._back, reply=False)),
                asyncio.create_task(self._pass(back_reader, self._front, reply=True)),
            ]
            await self._ended.wait()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        for writer in self._list_writers():
            with suppress(OSError):
                writer.close()
                await writer.wait_closed()

    def end(self) -> None:
        """Close both sides, after what was passed on has left."""
        self._ended.set()

    def reset(self) -> None:
        """End both sides at once."""
        for writer in self._list_writers():
            writer.transport.abort()
        self.end()

    def _list_writers(self) -> list[asyncio.StreamWriter]:
        return [writer for writer in (self._front, self._back) if writer is not None]

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reply: bool) -> None:
        with suppress(OSError):
            while message := await reader.read(BLOCK_BYTES):
                await self._proxy.wait_for_flow()
                if self.deaf:
                    continue
                cut = self._find_cut(message, reply)
                end = cut.after_bytes if cut else self._proxy.count_bytes(message, to_server=not reply)
                writer.write(message[:end])
                await writer.drain()
                if cut:
                    cut.size = len(message)
                    self._proxy.cuts += 1
                if end is not None:
                    break
        await self._proxy.wait_for_flow()
        if not self.deaf:  # the end is not heard either
            self.end()

    def _find_cut(self, message: bytes, reply: bool) -> Cut | None:
        if reply and self._next_reply:
            awaited, self._next_reply = self._next_reply, None
            if awaited.unless is not None and message.startswith(awaited.unless):
                self._proxy.want_again(awaited)
                return None
            return awaited
        found = self._proxy.find_cut(message, reply)
        if found and found.reply and not reply:
            self._next_reply = found
            return None
        return found
