"""SMTP servers for tests, over real sockets: by aiosmtpd, and one of a few lines for what a real one never answers."""

import asyncio
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from io import BufferedRWPair
from typing import Any, AnyStr

from aiosmtpd.smtp import SMTP, Envelope, Session

from errand.local.valkey import find_free_port
from tests.support.background import Background

# How many mails of 100 fail in each way at a RandomSink: enough that a run of minutes has all of them, few enough that
# most mails arrive.
REFUSED_AT_RCPT, SLOW = 5, 5
AFTER_DATA = {"refused": 4, "hung up": 2, "taken and hung up": 1, "taken, answered and hung up": 3}
ORDINARY = {"CONNECT": "220 ready", "EHLO": "250 raw", "DATA": "354 go on", "QUIT": "221 bye"}


class Sink:
    """A server on loopback between `start` and `stop`; a subclass has aiosmtpd's handlers and builds its sessions."""

    port: int

    @property
    def url(self) -> str:
        """How to reach it."""
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen."""
        self._background = Background()
        self._background.run(self._listen())

    def stop(self) -> None:
        """Listen no more, and close every connection."""
        self._background.run(self._close())
        self._background.stop()

    def build_session(self, loop: asyncio.AbstractEventLoop) -> SMTP:
        """Return what talks on a new connection."""
        raise NotImplementedError

    def list_open(self) -> list[Any]:
        """Return the sessions that are open."""
        return []

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: self.build_session(loop), "127.0.0.1", self.port)

    async def _close(self) -> None:
        self._server.close()
        for session in self.list_open():
            if session.transport is not None:
                session.transport.close()


@dataclass
class Mail:
    """A mail that was taken."""

    sender: str
    recipients: list[str]
    message: Message


@dataclass
class ScriptedSink(Sink):
    """`answers` by recipient, and under `MAIL` and `DATA` by step; `hang` names a step that never answers.

    `watch` is called with each step before it is answered. `taken` is a step too: the mail is kept, the answer not yet
    sent. `connections` counts all, `most` those that were open at once; each ends after `mails_each` mails.
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
    open: set[Any] = field(default_factory=set)  # of SMTP, whose transport aiosmtpd types as a base class
    port: int = field(default_factory=find_free_port)

    def freeze(self) -> None:
        """Let the connections that are open now hear nothing more, as if this machine were gone."""
        for connection in list(self.open):
            self._background.call(connection.transport.pause_reading)

    def hang_up(self, at_once: bool) -> None:
        """Close the connections that are open now, or reset them."""
        for connection in list(self.open):
            self._background.call(connection.transport.abort if at_once else connection.transport.close)

    def list_open(self) -> list[Any]:
        return list(self.open)

    def build_session(self, loop: asyncio.AbstractEventLoop) -> SMTP:
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
                if self.mails >= sink.mails_each and self.transport is not None:
                    self.transport.close()

            async def smtp_RSET(self, arg: str) -> None:
                sink.commands.append("RSET")
                await super().smtp_RSET(arg)

            async def smtp_QUIT(self, arg: str) -> None:
                sink.commands.append("QUIT")
                await super().smtp_QUIT(arg)

        return Server(self, hostname="localhost", loop=loop)

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


@dataclass(frozen=True)
class Taken:
    """A mail that was taken; `answered` is False where the sender got no final reply."""

    message_id: str
    subject: str
    at: float
    answered: bool

    @property
    def job(self) -> str:
        """The id of the job that sent it."""
        return self.message_id.strip("<>").partition("@")[0]


class RandomSink(Sink):
    """Answers on loopback at `url`; `failing` says whether it fails at random."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.failing = True
        self.taken: list[Taken] = []
        self.port = find_free_port()

    def build_session(self, loop: asyncio.AbstractEventLoop) -> SMTP:
        return _RandomSession(self, loop)

    def _strikes(self, percent: float) -> bool:
        return self.failing and self._random.random() < percent / 100

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        """Refuse some for now."""
        if self._strikes(REFUSED_AT_RCPT):
            return "450 Mailbox busy"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: "_RandomSession", session: Session, envelope: Envelope) -> str:
        """Take it, take it slowly, refuse it, or hang up before or after the reply."""
        if self._strikes(SLOW):
            await asyncio.sleep(self._random.uniform(0.2, 3))
        end = next((end for end, percent in AFTER_DATA.items() if self._strikes(percent)), "taken")
        if end.endswith("hung up"):
            server.hang_up = "after" if "answered" in end else "before"
        if end.startswith("taken"):
            assert isinstance(envelope.content, bytes)
            message = message_from_bytes(envelope.content)
            answered = server.hang_up != "before"
            self.taken.append(Taken(message["Message-ID"], message["Subject"], time.time(), answered))
        return "451 Try again" if end == "refused" else "250 Kept"


class _RandomSession(SMTP):
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


class RawServer:
    """Answers each command by its verb (`CONNECT` at first, `.` after the message); an empty answer hangs up.

    An answer may be a function of the command. `once` holds answers that are given once, before those in `answers`. It
    serves one connection after the other. `messages` are their lines as they came.
    """

    def __init__(self, **answers: "str | Callable[[str], str]") -> None:
        self.answers: dict[str, str | Callable[[str], str]] = {**ORDINARY, **answers}
        self.once: dict[str, str] = {}
        self.commands: list[str] = []
        self.messages: list[str] = []
        self.connections = 0
        self._open: socket.socket | None = None
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"smtp://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> "RawServer":
        return self

    def __exit__(self, *error: object) -> None:
        for each in (self._socket, self._open):
            with suppress(OSError):
                if each is not None:
                    each.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                self._open = connection = self._socket.accept()[0]
                self.connections += 1
                with suppress(OSError), connection, connection.makefile("rwb") as stream:
                    self._talk(stream)

    def _talk(self, stream: "BufferedRWPair[Any, Any]") -> None:
        step, line = "CONNECT", ""
        while answer := self._answer(step, line):
            stream.write(f"{answer}\r\n".encode())
            stream.flush()
            if step == "QUIT" or not (line := self._read(stream, step, answer)):
                return
            step = line.split()[0].upper()
            self.commands.append(line.strip())

    def _answer(self, step: str, line: str) -> str:
        answer = self.once.pop(step, self.answers.get(step, "250 OK"))
        return answer if isinstance(answer, str) else answer(line.strip())

    def _read(self, stream: "BufferedRWPair[Any, Any]", step: str, answer: str) -> str:
        line = str(stream.readline(), "utf-8")
        if step == "DATA" and answer.startswith("354"):
            message = ""
            while line not in ("", ".\r\n"):
                message += line
                line = str(stream.readline(), "utf-8")
            self.messages.append(message)
        return line
