"""Connections to Redis: a server that does not answer is away after seconds, not minutes.

`UrlConnector` makes every client of a process but one: the `rq worker` command builds its own (rq.cli.helpers, 3.0.0)
and hands it to the worker's class, which bounds it and makes its further clients with a `PoolConnector`.
"""

import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from redis import ConnectionPool, Redis, RedisError
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ConstantBackoff, ExponentialBackoff
from redis.exceptions import AuthenticationError, ConnectionError, OutOfMemoryError, TimeoutError
from redis.retry import Retry

from errand.redis import keys
from errand.redis.failover import WRONG_SERVER, RoleWatch
from errand.redis.lua.loader import read_script
from errand.redis.pool import PatientPool
from errand.redis.refusals import find_refusal
from errand.redis.settings import SettingsError
from errand.redis.url import check_redis_url

T = TypeVar("T")
WAIT_SECONDS = 1.0  # between two looks of a worker that waits for Redis to start


@dataclass(frozen=True)
class Limits:
    """How long a client waits for an answer and for a connection, and how often it sends a command again.

    It does so over a new connection: the old one has broken, or leads to a server that is no primary (any more).
    """

    answer_seconds: float
    connect_seconds: float
    retries: int = 0

    def describe(self) -> dict[str, Any]:
        """Return them as redis-py's connections take them; the waits before retries are 0.1 s, 0.2 s, and so on."""
        retry = Retry(ExponentialBackoff(cap=2.0, base=0.1), self.retries)
        retry.update_supported_errors(WRONG_SERVER)
        return {
            "socket_timeout": self.answer_seconds,
            "socket_connect_timeout": self.connect_seconds,
            "retry": retry,
        }


# A request is given up after API_SECONDS; a kept connection that turns out to be dead costs it one retry, which every
# script of ours allows.
API = Limits(keys.API_ANSWER_SECONDS, keys.API_CONNECT_SECONDS, retries=1)
BODIES = Limits(keys.WORKER_ANSWER_SECONDS, keys.API_CONNECT_SECONDS, retries=1)  # some megabytes at once
WORKER = Limits(keys.WORKER_ANSWER_SECONDS, keys.WORKER_CONNECT_SECONDS)
LOOK = Limits(keys.API_ANSWER_SECONDS, keys.API_CONNECT_SECONDS)  # no retries: a broken connection must be noticed
DASHBOARD = Limits(5.0, 2.0)  # rq-dashboard reads whole lists, in threads of its own
GOODBYE = Limits(1.0, 0.5)  # a platform kills what has not ended some seconds after the grace


class HonestRetry(AsyncRetry):
    """Raises a refusal that follows on a lost reply as a lost reply: what was sent first may have been done."""

    async def call_with_retry(
        self, do: Callable[[], Awaitable[T]], fail: Callable[..., Awaitable[Any]], *args: Any, **options: Any
    ) -> T:
        """Do as redis-py's does."""
        try:
            return await do()
        except self._supported_errors as error:
            return await self._go_on(error, do, fail, *args, **options)

    async def _go_on(
        self,
        first: Exception,
        do: Callable[[], Awaitable[T]],
        fail: Callable[..., Awaitable[Any]],
        *args: Any,
        **options: Any,
    ) -> T:
        ends: list[Exception] = [first]
        lost: list[Exception] = []

        async def try_again() -> T:
            if ends:
                raise ends.pop()
            return await do()

        async def note(error: Exception, *count: int) -> None:
            if find_refusal(error) is None:
                lost.append(error)
            await fail(error, *count)

        try:
            found = await super().call_with_retry(try_again, note, *args, **options)
        except RedisError as error:
            if lost and find_refusal(error):
                raise lost[0] from None
            raise
        if lost and isinstance(found, list):  # a pipeline's answers, its errors among them
            return [lost[0] if isinstance(one, RedisError) and find_refusal(one) else one for one in found]  # type: ignore[return-value]
        return found


class SyncConnector(Protocol):
    """Where Redis is, and how a client of it is made. Nothing is sent before a client's first command."""

    def connect(self, limits: Limits) -> Redis:
        """Return a client with a pool of its own."""


class Connector(SyncConnector, Protocol):
    """One that makes asynchronous clients as well: for all but the worker."""

    def connect_async(self, limits: Limits) -> AsyncRedis:
        """Return an asynchronous client with a pool of its own."""


class UrlConnector:
    """Makes clients of the server at a URL. Raises ValueError where it can't be read."""

    def __init__(self, url: str) -> None:
        self._url = check_redis_url(url)

    def connect(self, limits: Limits) -> Redis:
        """Return a client with a pool of its own."""
        return Redis.from_url(self._url, **limits.describe())

    def connect_async(self, limits: Limits) -> AsyncRedis:
        """Return an asynchronous client with a pool of its own."""
        retry = HonestRetry(ConstantBackoff(0.05), limits.retries)
        retry.update_supported_errors(WRONG_SERVER)
        described = {**limits.describe(), "retry": retry, "client_name": "errand-api"}
        return AsyncRedis.from_pool(PatientPool.from_url(self._url, **described))


class PoolConnector:
    """Makes clients of the server that another client's pool leads to, with whatever that one was given: a worker's."""

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool
        self._pools = [self._pool]

    def connect(self, limits: Limits) -> Redis:
        """Return a client with a pool of its own."""
        kwargs = {**self._pool.connection_kwargs, **limits.describe()}
        self._pools.append(ConnectionPool(connection_class=self._pool.connection_class, **kwargs))
        return Redis(connection_pool=self._pools[-1])

    def close_inherited(self) -> None:
        """Close all sockets, in a process that was just forked: the connections are its parent's, and stay open there.

        Without a lock, which another thread of the parent may hold for ever here. A client that this process uses then
        makes connections of its own, as redis-py does after any fork.
        """
        for pool in self._pools:
            for connection in (*pool._available_connections, *pool._in_use_connections):
                if (socket := getattr(connection, "_sock", None)) is not None:
                    socket.close()


def connect(url: str) -> AsyncRedis:
    """Return the API's client of the server at a URL."""
    return UrlConnector(url).connect_async(API)


def bound(redis: Redis, limits: Limits = WORKER) -> None:
    """Give a client other limits; open connections are closed, because they keep those that they were made with."""
    redis.connection_pool.disconnect()
    redis.connection_pool.reset()
    redis.connection_pool.connection_kwargs.update(limits.describe())


def wait_for_redis(url: str) -> None:
    """Return when the server answers, is a primary and takes writes, however long that takes; say once what is missing.

    A full one will do: jobs that end make room. Raises SettingsError for a server that will never take us: a wrong
    password, a missing permission, a URL that can't be read.
    """
    printed = ""
    while True:
        try:
            with UrlConnector(url).connect(WORKER) as redis:
                redis.ping()
                RoleWatch(redis).look()
                with suppress(OutOfMemoryError):
                    redis.register_script(read_script("store/probe_write"))()
            return
        except AuthenticationError as error:
            raise SettingsError(f"REDIS_URL: the server refuses us: {error}") from error
        except (RedisError, ValueError) as error:
            fault = _describe_absence(error)
            if fault != printed:
                print(f"errand: {fault}; the worker waits for it", file=sys.stderr, flush=True)
                printed = fault
            time.sleep(WAIT_SECONDS)


def _describe_absence(error: Exception) -> str:
    """Return why a server is not ready. Raises SettingsError where it will never be."""
    if isinstance(error, ConnectionError | TimeoutError):  # one that loads its data is a ConnectionError, too
        return f"Redis is away ({error})"
    refusal = find_refusal(error)
    if refusal is None or not refusal.passes:
        raise SettingsError(f"REDIS_URL: {refusal.describe(error) if refusal else error}") from error
    return f"Redis is not ready ({error})"
