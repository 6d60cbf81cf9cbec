"""`…/events`: server-sent events of a job or a batch until its end."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from itertools import takewhile
from typing import Any, Protocol, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from redis import RedisError

from errand.api.http.deadline import redis_deadline
from errand.api.http.methods import is_head
from errand.api.http.openapi import PROBLEMS
from errand.api.ids import check_id, missing
from errand.api.routes.logs import show_line
from errand.api.store import get_store
from errand.api.views import show_batch, show_job
from errand.store.batch import BatchStatus
from errand.store.observe.logs import LogLine, LogReader
from errand.store.status import ENDED, JobStatus
from errand.store.watch.event_id import News, build_batch_event_id, build_event_id, list_news, read_place, write_place
from errand.store.watch.watcher import Watch, Watcher

T = TypeVar("T")
S = TypeVar("S", contravariant=True)

COMMENT_SECONDS = 15.0  # as FastAPI's own streams do; proxies close what is silent for 30 or 60 seconds
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # without it nginx holds events back
LAST_EVENT_ID: dict[str, Any] = {
    "parameters": [
        {
            "name": "Last-Event-ID",
            "in": "header",
            "required": False,
            "description": "The `id` of the last event that was seen; the stream begins with what came after it.",
            "schema": {"type": "string"},
        }
    ]
}
SEEN: dict[int | str, dict[str, Any]] = {204: {"description": "The `end` was seen already: do not come back"}}


class EventStream(StreamingResponse):
    """Our own: FastAPI's EventSourceResponse wants a generator as the endpoint, which can't answer 404 or 204."""

    media_type = "text/event-stream"


router = APIRouter(prefix="/v1", responses={**PROBLEMS, **SEEN})


@router.get(
    "/jobs/{id}/events",
    response_class=EventStream,
    openapi_extra=LAST_EVENT_ID,
    tags=["jobs"],
    summary="Watch a job",
)
async def stream_job(request: Request, id: str) -> Response:
    """Send `status` with the job, `progress` with its progress, and at last `end` with the job.

    And `log` with each line that it logs or prints, first those that are there already.
    """
    store = get_store(request)
    async with redis_deadline():
        job = await store.watcher.read_job(check_id(id, "job"))
    if job is None:
        raise missing(id, "job")
    source = JobEvents(id, request.headers.get("Last-Event-ID"), store.observe.logs)
    return _answer(request, source, job, store.watcher, store.watcher.watch_job)


@router.get(
    "/batches/{id}/events",
    response_class=EventStream,
    openapi_extra=LAST_EVENT_ID,
    tags=["batches"],
    summary="Watch a batch",
)
async def stream_batch(request: Request, id: str) -> Response:
    """Send `progress` with the batch when its counts have changed, and at last `end` with the batch."""
    store = get_store(request)
    async with redis_deadline():
        batch = await store.batches.read(check_id(id, "batch"))
    if batch is None:
        raise missing(id, "batch")
    source = BatchEvents(id, request.headers.get("Last-Event-ID"))
    return _answer(request, source, batch, store.watcher, store.watcher.watch_batch)


class Events(Protocol[S]):
    """What a stream takes its events from."""

    def has_all(self, state: S) -> bool: ...  # noqa: D102

    async def write_new(self, state: S | None) -> tuple[bytes, bool]: ...  # noqa: D102


class JobEvents:
    """Writes what is new to one client of a job; `seen` is the id of the last event that it had."""

    def __init__(self, id: str, seen: str | None, logs: LogReader) -> None:
        self._id = id
        self._logs = logs
        self._seen, self._line = read_place(seen)

    def has_all(self, job: JobStatus) -> bool:
        """Return whether the client has seen the end."""
        return job.status in ENDED and self._seen == build_event_id(job)

    async def write_new(self, job: JobStatus | None) -> tuple[bytes, bool]:
        """Return the new events as they are sent, and whether the last of them is the end.

        Lines come after the news that the job runs, and before how far it came and how that ended. Raises RedisError
        and TimeoutError, where there are lines to be read.
        """
        if job is None:
            return _write_deleted(self._id), True
        lines = await self._read_lines(job)
        news = list_news(self._seen, job)
        is_first = self._seen is None
        runs = list(takewhile(lambda one: one.kind == "status" and (is_first or one.job.status == "started"), news))
        events = [self._write(one) for one in runs]
        events += [self._write_line(line) for line in lines]
        self._line = max(self._line, job.lines)
        events += [self._write(one) for one in news[len(runs) :]]
        self._seen = build_event_id(job)
        return b"".join(events), job.status in ENDED

    async def _read_lines(self, job: JobStatus) -> list[LogLine]:
        if job.lines <= self._line:
            return []
        page = await self._logs.read(job.id, self._line)
        return [] if page is None else page.items

    def _write(self, news: News) -> bytes:
        self._seen = news.event_id
        shown = vars(news.job.progress) if news.kind == "progress" else show_job(news.job)
        return _write(news.kind, write_place(news.event_id, self._line), shown)

    def _write_line(self, line: LogLine) -> bytes:
        self._line = line.number
        return _write("log", write_place(self._seen, line.number), show_line(line))


class BatchEvents:
    """Writes what is new to one client of a batch; `seen` is the id of the last event that it had."""

    def __init__(self, id: str, seen: str | None) -> None:
        self._id = id
        self._seen = seen

    def has_all(self, batch: BatchStatus) -> bool:
        """Return whether the client has seen the end."""
        return batch.has_ended and self._seen == build_batch_event_id(batch)

    async def write_new(self, batch: BatchStatus | None) -> tuple[bytes, bool]:
        """Return the new event as it is sent, b'' without one, and whether it is the end."""
        if batch is None:
            return _write_deleted(self._id), True
        event_id, is_end = build_batch_event_id(batch), batch.has_ended
        seen, self._seen = self._seen, event_id
        return b"" if event_id == seen else _write("end" if is_end else "progress", event_id, show_batch(batch)), is_end


def _answer(
    request: Request,
    source: Events[T],
    state: T,
    watcher: Watcher,
    watch: Callable[[T], AbstractContextManager[Watch[T]]],
) -> Response:
    if source.has_all(state):
        return Response(status_code=204)
    if is_head(request.scope):
        head = Response(headers=HEADERS, media_type=EventStream.media_type)
        del head.headers["Content-Length"]  # a GET has none
        return head
    return EventStream(_stream(source, state, watcher, watch), headers=HEADERS)


async def _stream(
    source: Events[T], state: T, watcher: Watcher, watch: Callable[[T], AbstractContextManager[Watch[T]]]
) -> AsyncIterator[bytes]:
    """Yield events until the end, or until the process stops: then the client connects to another one."""
    with watch(state) as watched:
        while not watcher.is_stopping:
            try:
                events, is_end = await source.write_new(watched.state)
            except (RedisError, OSError, TimeoutError):  # of the lines; the client comes back for them
                return
            if events:
                yield events
            if is_end:
                return
            if not await watched.wait(COMMENT_SECONDS):
                yield KEEPALIVE_COMMENT


def _write_deleted(id: str) -> bytes:
    return _write("end", "deleted", {"id": id, "status": "deleted"})


def _write(kind: str, id: str, data: dict[str, Any]) -> bytes:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return format_sse_event(data_str=text, event=kind, id=id)
