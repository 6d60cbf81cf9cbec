"""A page's stream of events: what has changed on it, sent to one viewer."""

import time
from collections.abc import AsyncIterator

from fastapi.sse import KEEPALIVE_COMMENT
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from errand.api.console.live.broadcast import Away, Broadcast, FullError, Gone, State, Take
from errand.api.console.page import Snapshot
from errand.api.http.methods import is_head
from errand.api.http.problems import Problem

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx would hold events back
COMMENT_SECONDS = 15.0  # between events at most: proxies close a connection that is silent, many after 30 or 60 s
SEEN_LIMIT = 400  # characters; an id has nine for each section of a page
# A stream ends then; the page asks for another one, for which its session is checked again.
STREAM_SECONDS = 900.0


def stream_page(request: Request, broadcast: Broadcast, key: str, take: Take, version: str) -> Response:
    """Return the stream of a page; it begins with what is new since the page or the last event. Raises Problem 503.

    A page that another version of the console has made is told to load itself again.
    """
    try:
        broadcast.check(key)
    except FullError:
        detail = "Too many pages are open; this one is not updated until others are closed"
        raise Problem(503, "too-many-pages", detail, {"Retry-After": "10"}) from None
    if is_head(request.scope):
        return Response(headers=HEADERS, media_type="text/event-stream")
    seen = request.headers.get("Last-Event-ID") or request.query_params.get("seen", "")
    is_old = request.query_params.get("version", version) != version
    events = _stream(broadcast, key, take, seen[:SEEN_LIMIT], is_old)
    return StreamingResponse(events, headers=HEADERS, media_type="text/event-stream")


async def _stream(broadcast: Broadcast, key: str, take: Take, seen: str, is_old: bool = False) -> AsyncIterator[bytes]:
    ends_at = time.monotonic() + STREAM_SECONDS
    if is_old:
        yield b"event: renew\ndata:\n\n"
    sent: State | None = None
    with broadcast.look(key, take) as watch:
        while not broadcast.is_stopping and time.monotonic() < ends_at:
            state = watch.state
            if state is not None and state is not sent:
                event = _write(state, seen, isinstance(sent, Away))
                if event:
                    yield event
                if isinstance(state, Gone):
                    return
                if isinstance(state, Snapshot):
                    seen = state.event_id
                sent = state
            if not await watch.wait(COMMENT_SECONDS):
                yield KEEPALIVE_COMMENT


def _write(state: State, seen: str, was_away: bool) -> bytes:
    if isinstance(state, Snapshot):
        return (b"event: back\ndata:\n\n" if was_away else b"") + state.write_event(seen)
    return b"event: gone\ndata:\n\n" if isinstance(state, Gone) else b"event: away\ndata:\n\n"
