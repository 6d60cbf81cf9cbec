"""uvicorn's HTTP protocols with bounds: `uvicorn --http errand.api.bounds:Protocol`.

uvicorn (0.54) has none under httptools, which joins a header anew with each read: one of 80 MB stopped every request
for seconds. Now a head has 64 KiB and 100 fields at most and comes within 10 seconds, a body comes as fast as 1,000
bytes a second after the first 10, and there are as many connections as the limit of open files has room for.
"""

from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol as PlainH11Protocol

from errand.api.bounded_protocol import FIELDS, HEAD_BYTES, LARGE_HEAD, MANY_FIELDS, Bounded

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ModuleNotFoundError:  # an application of your own may do without httptools
    HttpToolsProtocol = None  # type: ignore[assignment,misc]

PIPELINED = 16  # requests that wait while one is answered, then the connection is closed; browsers do not pipeline


class StopParsingError(Exception):
    """Raised inside httptools to stop it; the client has its answer, or will have it."""


class H11Protocol(Bounded, PlainH11Protocol):
    """h11 bounds a head's bytes by itself; `uvicorn --http errand.api.bounds:H11Protocol`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._served, self.app = self.app, self._serve

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._body_bytes = len(data) + (0 if self._is_idle() else self._body_bytes)
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Refuse what h11 can't take: it keeps at most as much as a head may have."""
        if len(self.conn.trailing_data[0]) <= HEAD_BYTES:
            super().send_400_response(msg)
        elif self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self._all.note("large heads")
            self.answer(431, "head-too-large", LARGE_HEAD)
        else:
            self.transport.close()

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        fields = scope["headers"]
        if len(fields) > FIELDS:
            self._all.note("heads with many fields")
            self.answer(431, "head-too-large", MANY_FIELDS)
        elif len(scope["raw_path"]) + sum(len(name) + len(value) for name, value in fields) > HEAD_BYTES:
            self._all.note("large heads")  # one that comes in a single piece is no concern of h11's
            self.answer(431, "head-too-large", LARGE_HEAD)
        else:
            await self._served(scope, receive, send)

    def _is_in_body(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY

    def _has_begun(self) -> bool:
        return bool(self.conn.trailing_data[0])


if HttpToolsProtocol is None:
    Protocol = H11Protocol
else:

    class Protocol(Bounded, HttpToolsProtocol):  # type: ignore[no-redef]
        """httptools with bounds.

        `_quiet_bytes` have come since the parser has found something: a whole head, a piece of a body, an end.
        """

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._quiet_bytes = 0
            self._in_body = False

        def data_received(self, data: bytes) -> None:
            """Take what has come."""
            self._quiet_bytes += len(data)
            if self._quiet_bytes > HEAD_BYTES:
                self._take_in_pieces(data)
            else:
                super().data_received(data)

        def _take_in_pieces(self, data: bytes) -> None:
            """Give the parser no more at once than a head may still have: it can't stop inside a piece."""
            self._quiet_bytes -= len(data)
            at = 0
            while at < len(data) and not (self._is_deaf or self.transport.is_closing()):
                size = HEAD_BYTES - self._quiet_bytes
                if size <= 0:
                    self._all.note("large heads")
                    self.refuse(431, "head-too-large", LARGE_HEAD)
                    return
                piece = data[at : at + size]
                at += size
                self._quiet_bytes += len(piece)
                super().data_received(piece)

        def on_headers_complete(self) -> None:
            """Begin a request. Raises StopParsingError."""
            if len(self.headers) > FIELDS:
                self._all.note("heads with many fields")
                self.refuse(431, "head-too-large", MANY_FIELDS)
                raise StopParsingError
            if len(self.pipeline) >= PIPELINED:
                self._all.note("connections that pipeline much")
                self.end_after_last()
                raise StopParsingError
            super().on_headers_complete()
            self._quiet_bytes, self._in_body, self._body_bytes = 0, True, 0
            if not self.parser.should_upgrade():
                self.headers = []  # a trailer's fields don't count as a header's (RFC 9110, section 6.5.1)

        def on_body(self, body: bytes) -> None:
            """Take a piece of a body."""
            self._quiet_bytes = 0
            self._body_bytes += len(body)
            super().on_body(body)

        def on_message_complete(self) -> None:
            """End what a request sends."""
            self._quiet_bytes, self._in_body = 0, False
            super().on_message_complete()

        def send_400_response(self, msg: str) -> None:
            """Refuse what httptools can't take, unless the connection ends already."""
            if not self._is_deaf:
                super().send_400_response(msg)

        def _is_in_body(self) -> bool:
            return self._in_body

        def _has_begun(self) -> bool:
            return self._quiet_bytes > 0
