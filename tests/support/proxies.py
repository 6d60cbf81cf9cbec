"""A TCP proxy before a server's socket, which does to connections what networks do."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errand.local.valkey import find_free_port
from tests.support.servers import PASSWORD, USER

BLOCK_BYTES = 1 << 20  # a message of a test fits into one


@dataclass
class Cut:
    """One connection to be cut, once, at one byte of one message.

    `wanted` knows the message, a request or a reply. With `reply`, a request that is wanted goes through whole and the
    answer to it is cut. `size` is that message's whole length, in bytes; 0 until the cut was made.
    """

    wanted: Callable[[bytes], bool]
    after_bytes: int
    reply: bool
    size: int = 0


class Proxy:
    """Passes everything on until it is told otherwise. Its methods may be called from any thread."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self._port = find_free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server: asyncio.Server | None = None
        self._cuts: list[Cut] = []
        self._open: set[_Connection] = set()

    @property
    def url(self) -> str:
        """The server's URL through this proxy, for the user who may do no more than Errand needs."""
        return f"redis://{USER}:{PASSWORD}@127.0.0.1:{self._port}/0"

    @contextmanager
    def serve(self) -> Iterator["Proxy"]:
        """Serve inside the block."""
        self._thread.start()
        self.accept()
        yield self
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def accept(self) -> None:
        """Take connections."""
        self._call(self._listen())

    def refuse(self) -> None:
        """Take no connection any more, and reset those that there are."""
        self._call(self._close())

    def send_to(self, socket: Path) -> None:
        """Lead new connections to another server; those that there are stay where they are."""
        self.socket = socket

    def deafen(self) -> int:
        """Let the connections that there are hear nothing and never end, as behind a router that forgot them.

        New ones are served. Returns how many are deaf.
        """
        return int(self._call(self._deafen()))

    def cut(self, *parts: bytes, after_bytes: int, reply: bool = False) -> Cut:
        """Cut the connection of the next message that holds all of `parts`, as `Cut` tells."""
        cut = Cut(lambda message: all(part in message for part in parts), after_bytes, reply)
        self._cuts.append(cut)
        return cut

    def find_cut(self, message: bytes, reply: bool) -> Cut | None:
        """Return what is to be cut in a message, and forget it; in a reply only what is to be cut there."""
        found = next((cut for cut in self._cuts if (cut.reply or not reply) and cut.wanted(message)), None)
        if found:
            self._cuts.remove(found)
        return found

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

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
            back_reader, self._back = await asyncio.open_unix_connection(self._proxy.socket, limit=BLOCK_BYTES)
            ways = [
                asyncio.create_task(self._pass(reader, self._back, reply=False)),
                asyncio.create_task(self._pass(back_reader, self._front, reply=True)),
            ]
            await self._ended.wait()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        for writer in (self._front, self._back):
            if writer is not None:
                with suppress(OSError):
                    writer.close()
                    await writer.wait_closed()

    def end(self) -> None:
        """Close both sides."""
        self._ended.set()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reply: bool) -> None:
        with suppress(OSError):
            while message := await reader.read(BLOCK_BYTES):
                if self.deaf:
                    continue
                cut = self._find_cut(message, reply)
                writer.write(message[: cut.after_bytes] if cut else message)
                await writer.drain()
                if cut:
                    cut.size = len(message)
                    break
        if not self.deaf:  # the end is not heard either
            self.end()

    def _find_cut(self, message: bytes, reply: bool) -> Cut | None:
        if reply and self._next_reply:
            found, self._next_reply = self._next_reply, None
            return found
        found = self._proxy.find_cut(message, reply)
        if found and found.reply and not reply:
            self._next_reply, found = found, None
        return found
