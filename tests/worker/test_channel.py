"""A subscription that notices that nobody is there any more."""

import time

import pytest
from redis import Redis

from errand.worker import channel as module
from errand.worker.channel import Channel
from tests.support.waiting import wait_until


class Clock:
    """The time, and some more."""

    ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def channel(redis: Redis, clock: Clock) -> Channel:
    channel = Channel(redis, "news")
    assert channel.keep()
    wait_until(lambda: redis.pubsub_numsub("news")[0][1] == 1)
    return channel


def listen(redis: Redis, channel: Channel, text: str) -> list[bytes]:
    redis.publish("news", text)
    return wait_until(channel.read, 5)


def test_messages_are_read_and_nothing_else(redis: Redis, channel: Channel) -> None:
    assert listen(redis, channel, "one") == [b"one"]
    assert channel.read() == []


def test_a_silent_one_is_opened_anew(redis: Redis, channel: Channel, clock: Clock) -> None:
    before = channel._pubsub
    clock.ahead = 11
    assert channel.keep()
    assert channel._pubsub is not before
    wait_until(lambda: redis.pubsub_numsub("news")[0][1] == 1)
    assert listen(redis, channel, "two") == [b"two"]


def test_a_ping_proves_that_a_quiet_one_lives(channel: Channel, clock: Clock) -> None:
    before = channel._pubsub
    for clock.ahead in (5.0, 10.0, 15.0):
        assert channel.keep()
        heard_at = channel._heard_at
        wait_until(lambda heard_at=heard_at: channel.read() == [] and channel._heard_at > heard_at)
    assert channel._pubsub is before


def test_one_that_was_cut_is_closed_and_opened_again(redis: Redis, channel: Channel) -> None:
    redis.client_kill_filter(_type="pubsub")
    wait_until(lambda: channel.read() == [] and channel.fileno() is None)
    assert channel.keep()
    wait_until(lambda: redis.pubsub_numsub("news")[0][1] == 1)
    assert listen(redis, channel, "two") == [b"two"]
