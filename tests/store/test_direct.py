"""Storing without an event loop, and what else is asked of Redis around storing."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from unittest.mock import AsyncMock, Mock, call

import pytest
from redis import RedisError
from redis.exceptions import ConnectionError

from errand.contract.from_python.options import Asked
from errand.redis.memory import MB, FullRedisError
from errand.store import posted_code
from errand.store.bodies import BodyStore, FullBodiesError
from errand.store.from_python import sync
from errand.store.from_python.planned import plan
from errand.store.from_python.sync import SyncEnqueuer
from errand.store.posted_code import LIFETIME_SECONDS, PostedCodes
from errand.store.settings import LifetimeSettings
from tests.support.job_types import TALLY, TYPES

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PLANNED = plan(TALLY, {"number": 7}, Asked())


def build(used: int = 1, is_noted: bool = True) -> Any:
    """An enqueuer over a server that uses so many of 100 MB, and its clients."""
    redis = Mock(info=Mock(return_value={"used_memory": used * MB, "maxmemory": 100 * MB}))
    redis.register_script.return_value = Mock(return_value=b"queued")
    clock = Mock(moment=lambda: NOW, note_info=Mock(return_value=is_noted))
    return redis, clock, SyncEnqueuer(redis, Mock(), LifetimeSettings(), TYPES, clock)


@pytest.fixture
def _passing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the time is half a second after the last one."""
    times = iter(range(1000))
    monkeypatch.setattr(sync, "time", Mock(monotonic=lambda: next(times) / 2))


def test_a_server_is_asked_for_its_memory_and_its_time_at_most_once_a_second() -> None:
    redis, clock, enqueuer = build()
    assert [enqueuer.store(PLANNED) for _ in range(3)] == [PLANNED.id] * 3
    assert redis.info.call_args_list == [call("memory", "server")]
    assert not clock.ask.called


@pytest.mark.usefixtures("_passing")
def test_a_second_later_a_server_is_asked_again() -> None:
    redis, _, enqueuer = build()
    for _ in range(5):
        enqueuer.store(PLANNED)
    assert redis.info.call_count > 1


def test_a_server_whose_info_has_no_time_is_asked_for_it() -> None:
    redis, clock, enqueuer = build(is_noted=False)
    enqueuer.store(PLANNED)
    clock.ask.assert_called_once_with(redis)


def test_nothing_is_stored_where_a_server_is_full() -> None:
    redis, _, enqueuer = build(used=80)
    with pytest.raises(FullRedisError):
        enqueuer.store(PLANNED)
    assert not redis.register_script.return_value.called


@pytest.mark.parametrize(("more_bytes", "is_hopeless"), [(11, True), (10, False)])
def test_a_request_is_hopeless_where_there_would_be_no_room_without_others(more_bytes: int, is_hopeless: bool) -> None:
    assert FullBodiesError(5, more_bytes, 10).is_hopeless is is_hopeless


@pytest.mark.parametrize("is_there", [True, False])
def test_a_body_is_put_where_its_place_is_or_not_at_all(is_there: bool) -> None:
    redis = Mock(set=Mock(return_value=is_there or None))
    redis.register_script.return_value = Mock(return_value=[b"a"])
    store = BodyStore(redis, Mock(now=lambda: 1.0))
    if is_there:
        assert store.put({"a": b"x", "b": b"y"}, 0).startswith("@1.")
    else:
        with pytest.raises(ConnectionError, match="forgot the place"):
            store.put({"a": b"x"}, 0)
    redis.set.assert_called_once_with("errand:body:a", b"x", xx=True, keepttl=True)
    store.close()
    assert redis.close.called


def test_the_code_of_each_type_is_announced_again_and_again_whatever_redis_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = AsyncMock(side_effect=[None, RedisError, TimeoutError, None])
    codes = PostedCodes(Mock(register_script=Mock(return_value=script)), {"a": "1", "b": "2"})
    sleep = AsyncMock(side_effect=[None, None, None, KeyboardInterrupt])
    monkeypatch.setattr(posted_code, "asyncio", Mock(sleep=sleep))
    with pytest.raises(KeyboardInterrupt):
        codes.keep().send(None)
    assert script.call_args_list == [call(args=[LIFETIME_SECONDS, "a=1", "b=2"])] * 4
    assert sleep.call_args_list == [call(posted_code.INTERVAL_SECONDS)] * 4


def test_the_code_of_each_type_is_announced_once_or_that_it_could_not_be() -> None:
    script = AsyncMock(side_effect=[None, RedisError])
    codes = PostedCodes(Mock(register_script=Mock(return_value=script)), {})
    asyncio.run(codes.announce())
    with pytest.raises(RedisError):
        asyncio.run(codes.announce())
