"""One connection's bounds in time and in what is answered, for both of uvicorn's HTTP protocols."""

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from errand.api.connections import LOOK_SECONDS, Discards, find_connections

HEAD_BYTES = 64 * 1024  # twice what nginx takes by default (4 x 8 KiB)
FIELDS = 100  # Apache's default
HEAD_SECONDS = 10.0  # a head is one packet or a few
BODY_SECONDS = 10.0  # and one more for each
BODY_BYTES_A_SECOND = 1_000  # Apache's mod_reqtimeout asks for 500
LINGER_SECONDS = 2.0  # for the client to read why, which is lost where a connection is closed with data unread

HEAD, BODY = "head", "body"
LARGE_HEAD = f"The head of a request may have {HEAD_BYTES:,} bytes, and so may the trailer of a body"
MANY_FIELDS = f"A request may have {FIELDS} header fields"
SLOW_HEAD = f"The head of a request has to come within {HEAD_SECONDS:.0f} seconds"
SLOW_BODY = f"A body has to come within {BODY_SECONDS:.0f} seconds and one more for each {BODY_BYTES_A_SECOND:,} bytes"
CROWD = "There are as many connections as this server may have; try again"

if TYPE_CHECKING:

    class AnyProtocol(asyncio.Protocol):
        """What uvicorn's protocols have in common, for which they have no class."""

        handle_websocket_upgrade: Callable[..., None]
        shutdown: Callable[[], None]
        cycle: Any
        flow: Any
        loop: asyncio.AbstractEventLoop
        server_state: Any
        timeout_keep_alive_task: asyncio.TimerHandle | None
        transport: asyncio.Transport

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

else:
    AnyProtocol = object


class Bounded(AnyProtocol):
    """What both of uvicorn's protocols lack; to be inherited from before one of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._all = find_connections(self.server_state, self.loop)
        self._step: tuple[str | None, object] = (None, None)
        self._seconds = 0.0  # that it has been at this step
        self._body_bytes = 0
        self._is_refused = self._is_deaf = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a connection, or refuse it where there are too many."""
        super().connection_made(transport)
        if not self._all.add(self):
            self._say(503, "too-many-connections", CROWD, b"retry-after: 2\r\n")
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End it."""
        self._all.drop(self)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, *args: Any) -> None:
        """Leave the connection to the protocol that takes it over."""
        self._all.drop(self)
        super().handle_websocket_upgrade(*args)

    def shutdown(self) -> None:
        """End it as soon as no request is being served."""
        if self._is_refused:
            self.transport.abort()
        else:
            super().shutdown()

    def look(self) -> str | None:
        """Refuse what is too slow by now; return what it was."""
        step = self._find_step()
        if step != self._step:
            self._step, self._seconds = step, 0.0
            return None
        self._seconds += LOOK_SECONDS
        if self._is_refused:
            if self._seconds >= LINGER_SECONDS:
                self.transport.abort()
        elif step[0] is HEAD and self._seconds >= HEAD_SECONDS:
            return self._end_slow_head()
        elif step[0] is BODY:
            if self.flow.read_paused or self.cycle.waiting_for_100_continue:
                self._seconds -= LOOK_SECONDS  # it waits for us
            elif self._seconds >= BODY_SECONDS + self._body_bytes / BODY_BYTES_A_SECOND:
                self.refuse(408, "too-slow", SLOW_BODY)
                return "slow bodies"
        return None

    def give_way(self) -> bool:
        """Close where no request is being served; return whether it does."""
        if self.transport.is_closing() or not (self._is_refused or self._is_idle()):
            return False
        self._all.drop(self)
        self.transport.abort()
        return True

    def refuse(self, status: int, name: str, detail: str) -> None:
        """Answer with a problem and close; where others are to be answered first, close after the last of those."""
        if not self._is_idle() and not self._is_in_body():
            self.end_after_last()
        elif self._is_idle() or not self.cycle.response_started:
            self.answer(status, name, detail)
        else:
            self.transport.close()

    def answer(self, status: int, name: str, detail: str) -> None:
        """Answer with a problem in place of the application, and close when the client has had time to read it."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # for the application the client is gone
            self.cycle.message_event.set()
        self._is_refused = True
        self._say(status, name, detail)
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._grow_deaf()
        else:
            self.transport.close()

    def end_after_last(self) -> None:
        """Take nothing more, and let the last request that has come close the connection."""
        self.cycle.keep_alive = False
        self._grow_deaf()

    def _grow_deaf(self) -> None:
        self._is_deaf = True
        self.transport.set_protocol(Deaf(self, self.transport, self._all.discards))
        self.flow.resume_reading()

    def _end_slow_head(self) -> str:
        if self.cycle is None and not self._has_begun():
            self.transport.close()
            return "silent connections"
        self.refuse(408, "too-slow", SLOW_HEAD)
        return "slow heads"

    def _find_step(self) -> tuple[str | None, object]:
        """Return what the client is to send, and the request after which or in which it does."""
        if self._is_refused:
            return None, self
        if self._is_in_body():
            is_being_answered = self.cycle.response_started and not self.cycle.response_complete
            return (None if is_being_answered else BODY), self.cycle
        return (HEAD if self._is_idle() and self.timeout_keep_alive_task is None else None), self.cycle

    def _is_idle(self) -> bool:
        """Return whether no request is being served, or waits to be."""
        return self.cycle is None or (self.cycle.response_complete and not self._is_in_body())

    def _is_in_body(self) -> bool:
        raise NotImplementedError

    def _has_begun(self) -> bool:
        raise NotImplementedError

    def _say(self, status: int, name: str, detail: str, more: bytes = b"") -> None:
        phrase = HTTPStatus(status).phrase
        problem = {"type": f"urn:problem-type:errand:{name}", "title": phrase, "status": status, "detail": detail}
        body = json.dumps(problem).encode()
        lines = [f"HTTP/1.1 {status} {phrase}\r\n".encode()]
        lines += [b"%s: %s\r\n" % pair for pair in self.server_state.default_headers]
        lines += [b"content-type: application/problem+json\r\ncontent-length: %d\r\n" % len(body), more]
        self.transport.write(b"".join([*lines, b"connection: close\r\n\r\n", body]))


class Deaf(asyncio.Protocol):
    """Throws away what still comes to a connection that ends."""

    def __init__(self, heard: asyncio.Protocol, transport: asyncio.Transport, discards: Discards) -> None:
        self.pause_writing = heard.pause_writing  # type: ignore[method-assign]
        self.resume_writing = heard.resume_writing  # type: ignore[method-assign]
        self.connection_lost = heard.connection_lost  # type: ignore[method-assign]
        self._transport, self._discards = transport, discards

    def data_received(self, data: bytes) -> None:
        """Throw it away, and read on when it is this connection's turn."""
        self._discards.read_later(self._transport)
