"""Answers that come before the request's body has been read: its sender can still read them.

A server that closes a connection with data unread makes the kernel send a reset (RFC 1122, section 4.2.2.13), and a
client that is still sending gets that in the answer's place: `http.client` a ConnectionResetError.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A smaller body has come with the head: TCP sends ten packets before the first acknowledgement (RFC 6928).
AT_ONCE_BYTES = 14_000
DRAIN_SECONDS = 30.0  # as nginx does by `lingering_time`
SILENT_SECONDS = 5.0  # and by `lingering_timeout`


class DrainUnread:
    """Reads the rest of a body, and throws it away, between the end of the answer and that of the connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] != "GET" and _comes_later(scope["headers"]):
            answer = _DrainedAnswer(receive, send)
            receive, send = answer.receive, answer.send
        await self._app(scope, receive, send)


def _comes_later(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether there may be a body on its way when the request begins to be served."""
    for name, value in headers:
        if name == b"content-length":
            return not value.isdigit() or int(value) > AT_ONCE_BYTES
        if name == b"transfer-encoding":
            return True
    return False


class _DrainedAnswer:
    """One request and its answer."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._is_read = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            self._is_read = True
        return message

    async def send(self, message: Message) -> None:
        is_last = message["type"] == "http.response.body" and not message.get("more_body")
        if is_last and not self._is_read:
            # The answer is whole for the client; for the server it ends below, and only then it closes the connection.
            await self._send({**message, "more_body": True})
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    await self._drain()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _drain(self) -> None:
        while not self._is_read:
            async with asyncio.timeout(SILENT_SECONDS):
                await self.receive()
