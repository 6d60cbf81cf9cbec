"""Connections and their limits."""

from typing import Any

import pytest
from redis import Redis

from errand.redis.connection import GOODBYE, WORKER, PoolConnector, bound, wait_for_redis
from errand.redis.settings import SettingsError


def read_limits(redis: Redis) -> tuple[Any, Any]:
    """Return the limits of the connection that the next command goes over."""
    redis.ping()
    connection = redis.connection_pool.get_connection()
    redis.connection_pool.release(connection)
    return connection.socket_timeout, connection.socket_connect_timeout


def test_a_connection_that_was_open_before_is_bound_too(redis: Redis) -> None:
    redis.ping()
    bound(redis)
    assert read_limits(redis) == (4.0, 2.0)


def test_one_that_is_to_hurry_does_so_at_once(redis: Redis) -> None:
    client = PoolConnector(redis).connect(WORKER)
    client.ping()
    bound(client, GOODBYE)
    assert read_limits(client) == (1.0, 0.5)


def test_a_clone_leaves_the_other_as_it_was(redis: Redis) -> None:
    before = read_limits(redis)
    assert read_limits(PoolConnector(redis).connect(WORKER)) == (4.0, 2.0)
    assert read_limits(redis) == before


@pytest.mark.parametrize("url", ["redis://127.0.0.1:port/0", "http://127.0.0.1"])
def test_a_url_that_can_not_be_read_is_reported(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^REDIS_URL: "):
        wait_for_redis(url)
