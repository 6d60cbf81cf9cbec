"""A mail server that takes its time over each message: `python bench/sink.py --seconds 0.05`.

It prints its port, and what it has seen, as JSON, for each line that it reads. With `--drop-after N` it ends every
connection about its Nth mail, by turns in four ways; with `--drop-idle S` those that were idle for so long.
"""

import argparse
import asyncio
import json
import re
import socket
import struct
import sys
from collections import Counter
from itertools import cycle
from typing import Any

CONNECTION_ENDS = ("after its answer", "by a reset after its answer", "at the next command", "by 421")
MESSAGE_ID = re.compile(rb"^Message-ID:\s*(\S+)", re.M | re.I)


class Counts:
    """What the sink has seen, and how it behaves."""

    def __init__(self, seconds: float, drop_after: int, drop_idle_seconds: float) -> None:
        self.seconds = seconds
        self.drop_after = drop_after
        self.drop_idle_seconds = drop_idle_seconds
        self.ends = cycle(CONNECTION_ENDS)
        self.mails: Counter[str] = Counter()
        self.open = self.most = self.connections = self.dropped = 0

    def describe(self) -> dict[str, int]:
        """Return the figures: `mails` are answers of 250 to a message, `once` the Message-IDs that got one of them."""
        return {
            "mails": self.mails.total(),
            "once": sum(times == 1 for times in self.mails.values()),
            "connections": self.connections,
            "most_at_once": self.most,
            "dropped": self.dropped,
            "open": self.open,
        }


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._end = next(counts.ends)
        self._held = b""
        self._in_message = False
        self._mails = 0
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Greet."""
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._counts.connections += 1
        self._counts.open += 1
        self._counts.most = max(self._counts.most, self._counts.open)
        self._say(b"220 sink")

    def connection_lost(self, error: Exception | None) -> None:
        """Count it as gone."""
        self._counts.open -= 1
        if self._idle is not None:
            self._idle.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer each whole command, or take the message when it is whole."""
        self._held += data
        if self._idle is not None:
            self._idle.cancel()
        while not self._transport.is_closing():
            end = b"\r\n.\r\n" if self._in_message else b"\r\n"
            content, found, rest = self._held.partition(end)
            if not found:
                return
            self._held = rest
            if self._in_message:
                self._in_message = False
                asyncio.get_running_loop().call_later(self._counts.seconds, self._take, content)
            else:
                self._obey(content[:4].upper())

    def _obey(self, verb: bytes) -> None:
        if verb == b"MAIL" and self._is_due() and self._end in ("at the next command", "by 421"):
            self._drop(b"421 that was enough" if self._end == "by 421" else b"")
        elif verb == b"DATA":
            self._in_message = True
            self._say(b"354 go on")
        elif verb == b"QUIT":
            self._say(b"221 bye")
            self._transport.close()
        elif verb == b"EHLO":
            self._say(b"250-sink\r\n250 PIPELINING")
        else:
            self._say(b"250 OK")

    def _take(self, content: bytes) -> None:
        if self._transport.is_closing():
            return
        found = MESSAGE_ID.search(content)
        self._counts.mails[found[1].decode() if found else ""] += 1
        self._mails += 1
        self._say(b"250 kept")
        if self._counts.drop_idle_seconds:
            self._idle = asyncio.get_running_loop().call_later(self._counts.drop_idle_seconds, self._drop)
        if self._is_due() and self._end.endswith("after its answer"):
            self._drop()

    def _is_due(self) -> bool:
        return 0 < self._counts.drop_after <= self._mails

    def _drop(self, answer: bytes = b"") -> None:
        if self._transport.is_closing():
            return
        self._counts.dropped += 1
        if answer:
            self._say(answer)
        if "reset" in self._end:
            self._transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        self._transport.close()

    def _say(self, line: bytes) -> None:
        self._transport.write(line + b"\r\n")


async def serve(counts: Counts) -> None:
    """Serve on loopback until nothing more can be read from stdin."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(counts), "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(counts.describe()), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.05)
    parser.add_argument("--drop-after", type=int, default=0)
    parser.add_argument("--drop-idle", type=float, default=0.0)
    options = parser.parse_args()
    asyncio.run(serve(Counts(options.seconds, options.drop_after, options.drop_idle)))
