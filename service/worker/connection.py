"""The worker's connections: a server that does not answer is away after seconds, not minutes."""

import sys
import time
from typing import Any

from redis import ConnectionPool, Redis, RedisError
from redis.backoff import ExponentialBackoff
from redis.exceptions import AuthenticationError, ConnectionError, TimeoutError
from redis.retry import Retry

from service.queue.settings import SettingsError

ANSWER_SECONDS = 4.0
CONNECT_SECONDS = 2.0
WAIT_SECONDS = 1.0


def wait_for_redis(url: str) -> None:
    """Return when the server answers, however long that takes; say once that it does not.

    Raises SettingsError for a server that will never take us: a wrong password, a URL that can't be read.
    """
    is_told = False
    while True:
        try:
            with Redis.from_url(url, **_limit(0)) as redis:
                redis.ping()
            return
        except AuthenticationError as error:
            raise SettingsError(f"REDIS_URL: the server refuses us: {error}") from error
        except (ConnectionError, TimeoutError) as error:  # one that loads its data is a ConnectionError, too
            if not is_told:
                print(f"errand: Redis is away ({error}); the worker waits for it", file=sys.stderr, flush=True)
                is_told = True
            time.sleep(WAIT_SECONDS)
        except (RedisError, ValueError) as error:
            raise SettingsError(f"REDIS_URL: {error}") from error


def bound(redis: Redis) -> None:
    """Give the client that RQ passes the worker's time limits; connections that are open are closed."""
    _renew(redis, _limit(0))


def clone(redis: Redis, retries: int = 0) -> Redis:
    """Return a client of the same server with a pool of its own.

    With `retries` a command that gets no answer is sent again, after 0.1 s, 0.2 s, and so on.
    """
    pool = redis.connection_pool
    kwargs = {**pool.connection_kwargs, **_limit(retries)}
    return Redis(connection_pool=ConnectionPool(connection_class=pool.connection_class, **kwargs))


def hurry(redis: Redis) -> None:
    """Let a client wait for a second at most: a platform kills what has not ended some seconds after the grace."""
    _renew(redis, {"socket_timeout": 1.0, "socket_connect_timeout": 0.5})


def _renew(redis: Redis, limits: dict[str, Any]) -> None:
    """Give a client's pool other limits; it keeps its connections, and these their own, unless it begins anew."""
    redis.connection_pool.disconnect()
    redis.connection_pool.reset()
    redis.connection_pool.connection_kwargs.update(limits)


def _limit(retries: int) -> dict[str, Any]:
    return {
        "socket_timeout": ANSWER_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "retry": Retry(ExponentialBackoff(cap=2.0, base=0.1), retries),
    }
