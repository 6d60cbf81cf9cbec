"""How a runner hears that there is work, and that its server is no primary any more."""

from collections.abc import Callable

from redis import Redis

from errand.redis import keys
from errand.redis.connection import WORKER, PoolConnector
from errand.redis.failover import RoleWatch
from errand.worker.channel import Channel

LOOK_SECONDS = 1.0  # a subscription sends a ping every 4 s, and a failover takes some seconds itself


class Notices:
    """A subscription to «there is work», and a look at the server's role once a second.

    `leaves` are called where it has become a replica, or the connection is a new one: each lets a client connect anew.
    """

    def __init__(self, redis: Redis, *leaves: Callable[[], object]) -> None:
        self._connector = PoolConnector(redis)
        self._channel = Channel(self._connector.connect(WORKER), keys.WORK)
        self._role = RoleWatch(redis, self._channel.close, *leaves)
        self._looked_at = 0.0
        self.has_come = False

    def fileno(self) -> int | None:
        """Return the socket to wait on, None while there is none."""
        return self._channel.fileno()

    def take(self) -> None:
        """Read what has come; it is no news any more."""
        if self.has_come:
            self._channel.read()
            self.has_come = False

    def look(self, now: float) -> None:
        """Look after the subscription and the server's role, if it is time. Raises RedisError."""
        if now - self._looked_at > LOOK_SECONDS:
            self._looked_at = now
            try:
                self._role.look()
            finally:
                self._channel.keep()

    def close(self) -> None:
        """Close the connections, in a process that a job has forked."""
        self._connector.close_inherited()
