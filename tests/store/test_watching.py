"""Watching without a server: what is read when, and who hears of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from redis import RedisError

from errand.redis import keys
from errand.store.batch import BatchStatus
from errand.store.new_job import derive_ids
from errand.store.watch import watcher as watching
from errand.store.watch.watcher import Watch, Watcher
from tests.store.test_event_ids import FRESH

BATCH = BatchStatus("5f0c7d1e-0000-4000-8000-000000000001", "log", "", {"queued": 2})
STARTED = replace(FRESH, status="started")


class Channel:
    """A subscription on which these messages come, None where nothing does in time."""

    def __init__(self, *messages: Any) -> None:
        self.get_message = AsyncMock(side_effect=[*messages, RedisError])
        self.subscribe, self.ping = AsyncMock(), AsyncMock()

    async def __aenter__(self) -> "Channel":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


def message(text: str) -> dict[str, Any]:
    return {"type": "message", "data": text.encode()}


def run(test: Callable[[Any], Awaitable[None]], channel: Channel | None = None) -> None:
    """Run a test with a watcher that polls only when it is asked to."""

    async def main() -> None:
        redis = Mock(pubsub=Mock(side_effect=[channel] if channel else RedisError))
        watcher: Any = Watcher(redis, AsyncMock(), AsyncMock())
        watcher._versions = Mock(call=AsyncMock(side_effect=lambda ids: [b"1"] * len(ids)))
        watcher._jobs.read.return_value = STARTED
        try:
            await test(watcher)
        finally:
            await watcher.close()

    asyncio.run(main())


@pytest.fixture(autouse=True)
def _slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "POLL_SECONDS", 60)
    monkeypatch.setattr(watching, "RETRY_SECONDS", 60)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_wait_ends_with_a_state_with_a_ring_or_with_its_time() -> None:
    async def test() -> None:
        watch = Watch(1)
        assert await watch.wait(0) is False
        watch.ring()
        assert (await watch.wait(5), watch.state) == (True, 1)
        watch.notify(None)
        assert (await watch.wait(5), watch.state) == (True, None)
        assert await watch.wait(0.001) is False

    asyncio.run(test())


def test_a_stop_rings_and_is_known_to_who_asks() -> None:
    async def test(watcher: Any) -> None:
        assert watcher.is_stopping is False
        with watcher.watch_job(FRESH) as watch:
            watcher.stop()
            assert await watch.wait(5)
        assert (watcher.is_stopping, watch.state) == (True, FRESH)

    run(test)


def test_a_poll_reads_a_job_whose_version_is_another() -> None:
    async def test(watcher: Any) -> None:
        with watcher.watch_job(FRESH) as first, watcher.watch_job(FRESH) as second:
            for _ in range(2):
                await watcher._poll()
                await settle()
            assert (first.state, second.state) == (STARTED, STARTED)
            watcher._versions.call.assert_called_with([keys.JOB + FRESH.id])
            assert watcher._jobs.read.call_count == 1
            with watcher.watch_job(FRESH):
                await watcher._poll()
                await settle()
            assert watcher._jobs.read.call_count == 2
        await watcher._poll()
        assert watcher._versions.call.call_count == 3

    run(test)


def test_a_job_that_could_not_be_read_is_read_with_the_next_poll(caplog: pytest.LogCaptureFixture) -> None:
    async def test(watcher: Any) -> None:
        watcher._jobs.read.side_effect = [RedisError(), STARTED]
        with watcher.watch_job(FRESH) as watch:
            for state in (FRESH, STARTED):
                await watcher._poll()
                await settle()
                assert watch.state == state

    run(test)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "1 of 1 watched records could not be read: RedisError"
    ]


def test_that_redis_is_away_is_said_once_until_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    async def test(watcher: Any) -> None:
        watcher._versions.call.side_effect = [RedisError("x"), TimeoutError(), [b"1"], OSError()]
        with watcher.watch_job(FRESH):
            for _ in range(4):
                await watcher._poll()

    run(test)
    assert sum("Redis is away" in record.getMessage() for record in caplog.records) == 2


def test_jobs_are_compared_a_hundred_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "VERSIONS_AT_ONCE", 2)

    async def test(watcher: Any) -> None:
        with ExitStack() as stack:
            for id in ("a", "b", "c"):
                stack.enter_context(watcher.watch_job(replace(FRESH, id=id)))
            await watcher._poll()
        calls = [call.args[0] for call in watcher._versions.call.call_args_list]
        assert calls == [[keys.JOB + "a", keys.JOB + "b"], [keys.JOB + "c"]]

    run(test)


def test_what_is_published_is_read_where_it_is_watched() -> None:
    jobs = derive_ids(BATCH.id, 2)
    channel = Channel(
        {"type": "subscribe", "data": 1},
        {"type": "message", "data": b"\xff"},
        message(f"x {FRESH.id} {jobs[0]}"),
        message(jobs[1]),
        None,
        None,
    )

    async def test(watcher: Any) -> None:
        watcher._batches.read.return_value = ended = replace(BATCH, counts={"finished": 2})
        with watcher.watch_job(FRESH) as job, watcher.watch_batch(BATCH) as batch:
            await settle()
            assert (job.state, batch.state) == (STARTED, ended)
        watcher._jobs.read.assert_called_once_with(FRESH.id)
        watcher._batches.read.assert_called_once_with(BATCH.id)

    run(test, channel)
    channel.subscribe.assert_called_once_with(keys.EVENTS)
    channel.get_message.assert_called_with(timeout=watching.PING_SECONDS)
    assert (channel.get_message.call_count, channel.ping.call_count) == (6, 1)


def test_a_connection_that_answers_a_ping_is_kept() -> None:
    channel = Channel(None, {"type": "pong", "data": b""}, None, {"type": "pong", "data": b""}, None, None)

    async def test(watcher: Any) -> None:
        with watcher.watch_job(FRESH):
            await settle()

    run(test, channel)
    assert (channel.get_message.call_count, channel.ping.call_count) == (6, 3)


def test_batches_have_their_turns_and_jobs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "BATCHED_AT_ONCE", 3)

    async def test(watcher: Any) -> None:
        first, second, third = (replace(BATCH, id=f"5f0c7d1e-0000-4000-8000-00000000000{n}") for n in (1, 2, 3))
        with ExitStack() as stack:
            for watch in (watcher.watch_job(FRESH), *map(watcher.watch_batch, (first, second, third))):
                stack.enter_context(watch)
            turns = [watcher._choose_batches() for _ in range(3)]
            monkeypatch.setattr(watching, "BATCHED_AT_ONCE", 4)
            turns.append(watcher._choose_batches())
        assert turns == [[first.id, second.id], [third.id, first.id], [second.id, third.id], [first.id, second.id]]

    run(test)


def test_who_watches_last_takes_the_record_out_of_the_polls() -> None:
    async def test(watcher: Any) -> None:
        with watcher.watch_batch(BATCH):
            with watcher.watch_batch(BATCH):
                pass
            assert watcher._choose_batches() == [BATCH.id]
        assert watcher._choose_batches() == []
        assert watcher._members.hear(derive_ids(BATCH.id, 2)) == set()

    run(test)


def test_what_has_changed_is_read_alone_and_nothing_that_nobody_watches_any_more() -> None:
    async def test(watcher: Any) -> None:
        with watcher.watch_job(FRESH), watcher.watch_job(replace(FRESH, id="a")):
            watcher._note([FRESH.id, "gone"])
            await settle()
        watcher._jobs.read.assert_called_once_with(FRESH.id)

    run(test)


def test_a_subscription_is_made_anew_where_there_is_one() -> None:
    async def test(watcher: Any) -> None:
        await watcher.listen_anew()
        assert not watcher._redis.pubsub.called
        with watcher.watch_job(FRESH):
            await settle()
            old = watcher._tasks[1]
            await watcher.listen_anew()
            await settle()
            assert old.done()
            assert [task.done() for task in watcher._tasks] == [False] * 3
            assert watcher._redis.pubsub.call_count == 2

    run(test)


def test_a_close_ends_all_of_it() -> None:
    async def test(watcher: Any) -> None:
        with watcher.watch_job(FRESH):
            await settle()
        await watcher.close()
        assert [task.done() for task in watcher._tasks] == [True] * 3

    run(test)


def test_polls_go_on_for_a_while_when_nobody_watches_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "POLL_SECONDS", 0)
    monkeypatch.setattr(watching, "LINGER_POLLS", 3)

    async def test(watcher: Any) -> None:
        watched = iter([{}, {"a": 1}, {"a": 1}, {}, {}, {}, {}])
        watcher._poll = AsyncMock(side_effect=lambda: setattr(watcher, "_watched", next(watched)))
        await asyncio.wait_for(watcher._poll_on(), 5)
        assert watcher._poll.call_count == 6
        assert watcher._tasks == []
        watcher._poll = AsyncMock()
        await asyncio.wait_for(watcher._poll_on(), 5)
        assert watcher._poll.call_count == 3

    run(test)


def test_the_subscription_ends_with_the_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LINGER_POLLS", 1)

    async def test(watcher: Any) -> None:
        with watcher.watch_job(FRESH):
            await settle()
            tasks = list(watcher._tasks)
            monkeypatch.setattr(watching, "POLL_SECONDS", 0)
            tasks[0].cancel()
        await watcher._poll_on()
        assert [task.done() for task in tasks] == [True] * 3

    run(test)


def test_a_batch_whose_jobs_change_while_it_is_read_is_read_again() -> None:
    async def test(watcher: Any) -> None:
        def read(_: str) -> BatchStatus:
            if watcher._batches.read.call_count == 1:
                watcher._members.hear(derive_ids(BATCH.id, 2)[:1])
                return replace(BATCH, counts={"queued": 1, "finished": 1})
            return replace(BATCH, counts={"finished": 2})

        watcher._batches.read.side_effect = read
        with watcher.watch_batch(BATCH) as batch:
            await watcher._poll()
            await settle()
            assert batch.state.has_ended

    run(test)
