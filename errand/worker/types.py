"""The job types that a worker has, where the others see them: what it lacks waits for a worker that has it."""

from collections.abc import Mapping

from redis import Redis

from errand.redis import keys


class WorkerTypes:
    """The types of the worker `name`, each with the hash of its code; they are forgotten with the worker's record.

    Beside them is how many jobs it runs at once, its `threads`.
    """

    def __init__(
        self, redis: Redis, name: str, codes: Mapping[str, str], lifetime_seconds: int, threads: int = 1
    ) -> None:
        self._redis = redis
        self._key = keys.TYPES + name
        self.codes = codes
        self._lifetime_seconds = lifetime_seconds
        self._threads = threads

    def publish(self) -> None:
        """Write them down. Raises RedisError."""
        with self._redis.pipeline() as pipe:
            pipe.delete(self._key)
            for type, code in self.codes.items():
                pipe.hset(self._key, type, code)
            pipe.hset(self._key, keys.THREADS, self._threads)
            pipe.expire(self._key, self._lifetime_seconds)
            pipe.execute()

    def withdraw(self) -> None:
        """Take them back: this worker runs nothing any more. Raises RedisError."""
        self._redis.delete(self._key)
