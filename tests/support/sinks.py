"""An SMTP server for tests that answers as it is told, over real sockets."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from errand.local.valkey import find_free_port


@dataclass
class Mail:
    """A mail that was taken."""

    sender: str
    recipients: list[str]
    message: Message


@dataclass
class ScriptedSink:
    """`answers` by recipient, and under `MAIL` and `DATA` by step; `hang` names a step that never answers.

    `watch` is told each step before it is answered. `taken` is a step too: the mail is kept, the answer not yet sent.
    `connections` counts all, `most` those that were open at once; each ends after `mails_each` mails.
    """

    answers: dict[str, str] = field(default_factory=dict)
    hang: str = ""
    watch: Callable[[str], object] = lambda step: None
    mails: list[Mail] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    mails_each: int = 1_000_000
    connections: int = 0
    most: int = 0
    open: set[SMTP] = field(default_factory=set)
    port: int = field(default_factory=find_free_port)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(5)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def freeze(self) -> None:
        """Let the connections that are open now hear nothing more, as if this machine were gone."""
        for connection in list(self.open):
            self._loop.call_soon_threadsafe(connection.transport.pause_reading)

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(self._loop.create_server(self._build, "127.0.0.1", self.port))
        started.set()
        self._loop.run_forever()
        self._server.close()
        for connection in self.open:
            connection.transport.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    def _build(self) -> SMTP:
        sink = self

        class Server(SMTP):
            mails = 0

            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                sink.connections += self not in sink.open  # once more with STARTTLS
                sink.open.add(self)
                sink.most = max(sink.most, len(sink.open))

            def connection_lost(self, error: Exception | None) -> None:
                sink.open.discard(self)
                super().connection_lost(error)

            async def smtp_DATA(self, arg: str) -> None:
                await super().smtp_DATA(arg)
                self.mails += 1
                if self.mails >= sink.mails_each:
                    self.transport.close()

            async def smtp_RSET(self, arg: str) -> None:
                sink.commands.append("RSET")
                await super().smtp_RSET(arg)

            async def smtp_QUIT(self, arg: str) -> None:
                sink.commands.append("QUIT")
                await super().smtp_QUIT(arg)

        return Server(self, hostname="localhost", loop=self._loop)

    async def _answer(self, step: str, ordinary: str) -> str:
        self.watch(step)
        if self.hang == step:
            await asyncio.sleep(3600)
        return self.answers.get(step, ordinary)

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        envelope.mail_from = address
        return await self._answer("MAIL", "250 OK")

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        answer = await self._answer(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        else:
            self.refused.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = await self._answer("DATA", "250 Kept")
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            message = message_from_bytes(envelope.content)
            self.mails.append(Mail(envelope.mail_from or "", list(envelope.rcpt_tos), message))
            await self._answer("taken", answer)
        return answer
