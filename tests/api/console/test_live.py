"""Pages that follow what happens: rendered once for all who look, as long as somebody does."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any
from urllib.request import Request, urlopen

import pytest
from redis.exceptions import ConnectionError

from errand.api.console.live import broadcast as module
from errand.api.console.live.broadcast import Away, Broadcast, FullError, State
from errand.api.console.live.stream import _stream
from errand.api.console.page import Snapshot
from errand.api.http.problems import Problem
from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from errand.store.watch.watcher import Watch
from tests.api.sse import Stream
from tests.support.api_server import serve
from tests.support.connectors import create_app
from tests.support.job_types import TYPES


class Source:
    """What a page reads: a number that goes up with each look, or what is put in its place."""

    def __init__(self) -> None:
        self.reads = 0
        self.fault: Exception | None = None
        self.is_steady = False

    async def take(self) -> Snapshot:
        self.reads += 1
        if self.fault:
            raise self.fault
        return show(count="1" if self.is_steady else str(self.reads), rest="the same")


def show(**sections: str) -> Snapshot:
    return Snapshot("title", 200, {}, sections)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PERIOD_SECONDS", 0.01)


def run(test: Callable[[Broadcast, Source], Awaitable[None]], watcher: Any = None) -> Source:
    source = Source()

    async def call() -> None:
        async with asyncio.timeout(20):
            stand_in: Any = SimpleNamespace(is_stopping=False)
            await test(Broadcast(watcher or stand_in), source)

    asyncio.run(call())
    return source


async def wait_for(watch: Watch[State | None], is_right: Callable[[Any], bool]) -> Any:
    while not is_right(watch.state):
        assert await watch.wait(10)
    return watch.state


def test_only_the_sections_that_changed_are_sent() -> None:
    before, after = show(a="1", b="<i>1</i>"), show(a="1", b="<i>2</i>\n</i>")
    event = after.write_event(before.event_id).decode()
    assert event == (
        'data: <hx-partial hx-target="#s-b" hx-swap="innerMorph"><i>2</i>\n'
        f"data: </i></hx-partial>\nid: {after.event_id}\n\n"
    )
    assert after.write_event(after.event_id) == b""
    for seen in ("", "made up", "a.b.c.d"):
        assert after.write_event(seen).count(b"hx-partial hx-target") == 2


def test_what_was_seen_takes_no_memory_that_others_can_fill() -> None:
    snapshot = show(a="1")
    for number in range(1000):
        assert snapshot.write_event(str(number))
    assert len(snapshot._events) <= 64


def test_all_who_look_at_a_page_share_what_is_read_and_written() -> None:
    async def test(broadcast: Broadcast, source: Source) -> None:
        async def look() -> list[bytes]:
            with broadcast.look("page", source.take) as watch:
                first = await wait_for(watch, lambda state: state is not None)
                second = await wait_for(watch, lambda state: state is not first)
                return [first.write_event(""), second.write_event(first.event_id)]

        found = await asyncio.gather(*(look() for _ in range(50)))
        assert {id(event) for event, _ in found} == {id(found[0][0])}
        assert {id(event) for _, event in found} == {id(found[0][1])}

    assert run(test).reads < 10


def test_a_page_that_nobody_looks_at_is_not_read() -> None:
    async def test(broadcast: Broadcast, source: Source) -> None:
        with broadcast.look("page", source.take) as watch:
            await wait_for(watch, lambda state: state is not None)
        await asyncio.sleep(0.05)
        reads = source.reads
        await asyncio.sleep(0.05)
        assert (source.reads, broadcast.find("page")) == (reads, None)
        assert len(asyncio.all_tasks()) == 1

    run(test)


def test_who_is_slow_misses_states_and_holds_up_nobody() -> None:
    async def test(broadcast: Broadcast, source: Source) -> None:
        with broadcast.look("page", source.take) as slow, broadcast.look("page", source.take) as quick:
            await wait_for(quick, lambda state: state is not None and int(state.sections["count"]) > 5)
            assert slow.state is quick.state

    run(test)


def test_what_does_not_change_is_sent_once() -> None:
    async def test(broadcast: Broadcast, source: Source) -> None:
        source.is_steady = True
        with broadcast.look("page", source.take) as watch:
            first = await wait_for(watch, lambda state: state is not None)
            await watch.wait(0.1)
            assert not await watch.wait(0.1)
            assert watch.state is first
        assert source.reads > 3

    run(test)


def test_a_redis_that_is_away_is_said_and_then_that_it_is_back() -> None:
    async def test(broadcast: Broadcast, source: Source) -> None:
        source.is_steady, source.fault = True, ConnectionError("away")
        events = _stream(broadcast, "page", source.take, "")
        assert await anext(events) == b"event: away\ndata:\n\n"
        source.fault = None
        back = await anext(events)
        assert back.startswith(b"event: back\ndata:\n\ndata: <hx-partial")
        source.fault = Problem(404, "no-such-job", "it was deleted")
        assert await anext(events) == b"event: gone\ndata:\n\n"
        assert [event async for event in events] == []

    run(test)


def test_a_fault_of_ours_in_a_page_costs_its_viewers_nothing_but_news(caplog: pytest.LogCaptureFixture) -> None:
    async def test(broadcast: Broadcast, source: Source) -> None:
        source.fault = ZeroDivisionError()
        with broadcast.look("page", source.take) as watch:
            assert await wait_for(watch, lambda state: state is not None) == Away()
            await asyncio.sleep(0.05)
            source.fault = None
            await wait_for(watch, lambda state: isinstance(state, Snapshot))

    run(test)
    assert caplog.text.count("A page of the console can't be shown: ZeroDivisionError") == 1


def test_a_page_of_another_version_is_asked_once_to_load_itself_again_and_goes_on() -> None:
    async def test(broadcast: Broadcast, source: Source) -> None:
        events = _stream(broadcast, "page", source.take, "", is_old=True)
        assert await anext(events) == b"event: renew\ndata:\n\n"
        for _ in range(3):
            assert (await anext(events)).startswith(b"data: <hx-partial")

    run(test)


def test_streams_end_when_the_process_stops() -> None:
    watcher = SimpleNamespace(is_stopping=False)

    async def test(broadcast: Broadcast, source: Source) -> None:
        source.is_steady = True
        events = _stream(broadcast, "page", source.take, "")
        assert await anext(events)
        watcher.is_stopping = True
        assert [event async for event in events] == []

    run(test, watcher)


def test_so_many_pages_and_streams_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(broadcast: Broadcast, source: Source) -> None:
        monkeypatch.setattr(module, "PAGES_LIMIT", 1)
        monkeypatch.setattr(module, "STREAMS_LIMIT", 2)
        with broadcast.look("page", source.take):
            broadcast.check("page")
            with pytest.raises(FullError):
                broadcast.check("other")
            with broadcast.look("page", source.take), pytest.raises(FullError):
                broadcast.check("page")

    run(test)


@pytest.fixture
def base_url(queue_settings: QueueSettings) -> Iterator[str]:
    app = create_app(ApiSettings(ERRAND_LOCAL=True), queue_settings, TYPES)
    with serve(app, "httptools") as (host, port):
        yield f"http://{host}:{port}"


def test_a_page_hears_of_a_new_job_by_the_stream_that_it_names(base_url: str) -> None:
    page = urlopen(f"{base_url}/console/jobs?type=log").read().decode()
    live = re.search(r'hx-sse:connect="([^"]+)"', page)
    assert live
    with Stream(base_url, live[1].replace("&amp;", "&")) as stream:
        assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
        assert "version=" in live[1]
        posted = Request(f"{base_url}/v1/jobs/log", b'{"text": "x"}', {"Content-Type": "application/json"})
        id = json.loads(urlopen(posted).read())["id"]
        lines = iter(stream.answer.readline, b"id: ")
        assert b'hx-target="#s-list"' in next(lines)
        assert any(f'id="job-{id}"'.encode() in line for line in lines)
    with Stream(base_url, "/console/live/jobs?version=another") as stream:
        assert stream.answer.readline() == b"event: renew\n"
