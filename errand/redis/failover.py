"""After a failover: how a process finds that its connections lead to a demoted primary, and leaves them.

A Redis that fails over may keep the connections that there are at the old server, which is a replica now, while new
ones lead to the promoted one. There writes are refused (READONLY, MASTERDOWN, LOADING), and a refused write closes its
connection (errand/redis/connection.py). Reads, subscriptions, PING and scripts that write nothing succeed and notice
nothing: for those one connection's role is read once a second, apart from any request. When that one is at a replica,
breaks, or was made anew, all of the process's are made anew: none may be older than the one that is looked at.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    MasterDownError,
    NoPermissionError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)

LOOK_SECONDS = 1.0  # two small commands; a failover itself takes some seconds
WRONG_SERVER = (ReadOnlyError, MasterDownError, BusyLoadingError)  # said by one that is no primary, or not yet
AWAY = (ConnectionError, TimeoutError, *WRONG_SERVER)
logger = logging.getLogger("errand.api")


class ReplicaError(ReadOnlyError):
    """Raised where a server says that it is a replica; the text says of whom, and what to do."""

    def __init__(self, primary: str) -> None:
        super().__init__(
            f"REDIS_URL: the server is a replica of {primary} and takes no writes; "
            f"if this outlasts a failover, set it to the primary",
            status_code="READONLY",
        )


class Sight:
    """What was last seen of a connection: judges the answers to ROLE and to CLIENT ID."""

    def __init__(self) -> None:
        self._id: Any = None
        self._is_lost = False
        self.is_blind = False  # where the server does not say its role: then only its refusals show a replica

    def judge(self, role: Any, id: Any) -> bool:
        """Return whether the connection is another one than before. Raises ReplicaError for one to a replica."""
        if isinstance(role, NoPermissionError) or (isinstance(role, ResponseError) and "unknown command" in str(role)):
            self.is_blind = True
        if isinstance(role, AWAY):
            raise role
        if isinstance(role, list | tuple) and role[0] in (b"slave", "slave"):
            host = role[1].decode() if isinstance(role[1], bytes) else role[1]
            raise ReplicaError(f"{host}:{role[2]}")
        is_other = self._is_lost or self._id not in (None, id)
        self._id, self._is_lost = id, False
        return is_other

    def lose(self) -> None:
        """Note that the connection has gone: whatever comes next is another one."""
        self._is_lost = True


class RoleWatch:
    """Looks where a synchronous client leads to, which one loop uses, and over one connection.

    `leaves` let the process's other clients and subscriptions connect anew.
    """

    def __init__(self, redis: Redis, *leaves: Callable[[], object]) -> None:
        self._redis = redis
        self._leaves = leaves
        self._sight = Sight()
        self._looked_at = float("-inf")

    def look(self) -> None:
        """Look, once a second at most; leave what leads to a replica, or where this client's connection is a new one.

        Raises ReplicaError for a replica, and RedisError for a connection that is broken.
        """
        now = time.monotonic()
        if self._sight.is_blind or now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        is_other = True
        try:
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.role()
            pipeline.client_id()
            is_other = self._sight.judge(*pipeline.execute(raise_on_error=False))
        except AWAY:
            self._sight.lose()
            renew(self._redis)
            raise
        finally:
            if is_other:
                self.leave()

    def leave(self) -> None:
        """Let the others connect anew."""
        for leave in self._leaves:
            leave()


class Failover:
    """Looks where an asynchronous client leads to, for a process that serves requests over other clients.

    `leaves` are functions and coroutine functions that let the process's other connections be made anew.
    """

    def __init__(self, redis: AsyncRedis) -> None:
        """Take a client that nobody else uses."""
        self.leaves: list[Callable[[], Any]] = []
        self._redis = redis
        self._sight = Sight()
        self._task: asyncio.Task[None] | None = None
        self._is_astray = False

    def start(self) -> None:
        """Begin to look, in the running loop."""
        self._task = asyncio.create_task(self._look_on())

    async def close(self) -> None:
        """End it, and its connection."""
        if self._task is not None:
            while not self._task.done():  # before Python 3.12 what redis-py waits with may swallow a cancellation
                self._task.cancel()
                await asyncio.wait([self._task], timeout=0.1)
        await self._redis.aclose()

    async def _look_on(self) -> None:
        while not self._sight.is_blind:
            await self._look()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        try:
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.role()
            pipeline.client_id()
            is_other = self._sight.judge(*await pipeline.execute(raise_on_error=False))
        except AWAY as error:
            self._sight.lose()
            if isinstance(error, ReplicaError) and not self._is_astray:
                logger.warning("Redis has failed over, and all connections are made anew. %s", error)
                self._is_astray = True
            await renew_async(self._redis)
            await self._leave()
            return
        if is_other:
            await self._leave()
        if self._is_astray:
            logger.warning("Redis is a primary again")
            self._is_astray = False

    async def _leave(self) -> None:
        for leave in self.leaves:
            done = leave()
            if asyncio.iscoroutine(done):
                await done


def renew(*clients: Redis) -> None:
    """Let clients connect anew: what is idle is closed now, what is in use when it is given back."""
    for redis in clients:
        redis.connection_pool.disconnect(inuse_connections=False)
        redis.connection_pool.update_active_connections_for_reconnect()


async def renew_async(redis: AsyncRedis) -> None:
    """Do as `renew` does, for an asynchronous client."""
    pool: Any = redis.connection_pool
    await pool.update_active_connections_for_reconnect()
    with suppress(ConnectionError, TimeoutError, OSError):  # one that breaks while it is closed is closed
        await pool.disconnect(inuse_connections=False)


def leads_elsewhere(answers: Sequence[Any]) -> bool:
    """Return whether one of a pipeline's answers comes from a server that is no primary, or not yet."""
    return any(isinstance(answer, WRONG_SERVER) for answer in answers)
