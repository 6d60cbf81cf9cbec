"""An SMTP server that fails at random and remembers each mail that it took."""

import asyncio
import random
import time
from dataclasses import dataclass
from email import message_from_bytes
from typing import Any, AnyStr

from aiosmtpd.smtp import SMTP, Envelope, Session

from errand.local.valkey import find_free_port
from tests.chaos.proxy import Background

# How many mails of 100 fail in each way while faults are on; a connection may end in the middle, too.
REFUSED_AT_RCPT, SLOW = 5, 5
AFTER_DATA = {"refused": 4, "hung up": 2, "taken and hung up": 1, "taken, told and hung up": 3}


@dataclass(frozen=True)
class Taken:
    """A mail that was taken; `told` is False where the sender got no final reply."""

    message_id: str
    subject: str
    at: float
    told: bool

    @property
    def job(self) -> str:
        """The id of the job that sent it."""
        return self.message_id.strip("<>").partition("@")[0]


class RandomSink:
    """Answers on loopback at `url`; `failing` says whether it fails at random."""

    def __init__(self, background: Background, seed: int) -> None:
        self._random = random.Random(seed)
        self._loop = background.loop
        self.failing = True
        self.taken: list[Taken] = []
        self.port = find_free_port()
        background.run(self._listen())

    @property
    def url(self) -> str:
        """How to reach it."""
        return f"smtp://127.0.0.1:{self.port}"

    async def _listen(self) -> None:
        await self._loop.create_server(lambda: _Server(self, self._loop), "127.0.0.1", self.port)

    def _strikes(self, percent: float) -> bool:
        return self.failing and self._random.random() < percent / 100

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        """Refuse some for now."""
        if self._strikes(REFUSED_AT_RCPT):
            return "450 Mailbox busy"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: "_Server", session: Session, envelope: Envelope
    ) -> str:
        """Take it, take it slowly, refuse it, or hang up before or after the reply."""
        if self._strikes(SLOW):
            await asyncio.sleep(self._random.uniform(0.2, 3))
        end = next((end for end, percent in AFTER_DATA.items() if self._strikes(percent)), "taken")
        server.hang_up = {"hung up": "before", "taken and hung up": "before", "taken, told and hung up": "after"}.get(
            end
        )
        if end.startswith("taken"):
            assert isinstance(envelope.content, bytes)
            message = message_from_bytes(envelope.content)
            told = server.hang_up != "before"
            self.taken.append(Taken(message["Message-ID"], message["Subject"], time.time(), told))
        return "451 Try again" if end == "refused" else "250 Kept"


class _Server(SMTP):
    """One connection; `hang_up` says whether it ends before or after the next reply."""

    def __init__(self, sink: RandomSink, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(sink, hostname="localhost", loop=loop)
        self.hang_up: str | None = None

    async def push(self, status: AnyStr) -> None:
        """Write a reply."""
        transport: Any = self.transport
        if self.hang_up == "before" and transport is not None:
            transport.abort()
            return
        await super().push(status)
        if self.hang_up == "after" and transport is not None:
            transport.close()
