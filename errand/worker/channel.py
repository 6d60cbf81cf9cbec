"""A Redis subscription that a select() loop waits on, and that notices a connection that is open on one side only."""

import time
from contextlib import suppress

from redis import Redis, RedisError
from redis.client import PubSub

PING_SECONDS = 4.0  # between two pings, which show that the other side is still there
SILENT_SECONDS = 10.0  # two pings without an answer: the connection is open on one side only


class Channel:
    """Messages published under `name`; while Redis is away there are none."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis = redis
        self._name = name
        self._pubsub: PubSub | None = None
        self._heard_at = self._pinged_at = 0.0

    def fileno(self) -> int | None:
        """Return the socket to wait on, None while there is none."""
        connection = self._pubsub and self._pubsub.connection
        socket = connection and connection._sock
        return socket.fileno() if socket else None

    def keep(self) -> bool:
        """Open the subscription, or prove that it lives: call it about once a second. Return whether it is open."""
        now = time.monotonic()
        try:
            if self._pubsub is not None and now - self._heard_at > SILENT_SECONDS:
                self.close()
            if self._pubsub is None:
                self._pubsub = self._redis.pubsub()  # type: ignore[no-untyped-call]
                self._pubsub.subscribe(self._name)
                self._heard_at = self._pinged_at = now
            elif now - self._pinged_at > PING_SECONDS:
                self._pinged_at = now
                self._pubsub.ping()
        except (RedisError, OSError):
            self.close()
        return self._pubsub is not None

    def read(self) -> list[bytes]:
        """Return the messages that have come, without waiting."""
        messages = []
        try:
            while self._pubsub is not None and (heard := self._pubsub.get_message(timeout=0)):
                self._heard_at = time.monotonic()
                if heard["type"] == "message":
                    messages.append(heard["data"])
        except (RedisError, OSError):
            self.close()
        return messages

    def close(self) -> None:
        """Drop the connection; the next `keep` opens another."""
        if self._pubsub is not None:
            with suppress(RedisError, OSError):
                self._pubsub.close()
            self._pubsub = None
