"""Canceling jobs that wait and stopping jobs that run: one guarded script."""

from collections.abc import Mapping

from redis.asyncio import Redis

from errand.redis.lua.loader import Value, assemble
from errand.store.settings import LifetimeSettings


class CancelRefusedError(Exception):
    """Raised when a job can't be canceled; the text says why."""


class Canceller:
    """Cancels jobs over one asynchronous client; `ending` are the values of scripts that end jobs."""

    def __init__(self, redis: Redis, settings: LifetimeSettings, ending: Mapping[str, Value] | None = None) -> None:
        self._script = redis.register_script(assemble("store/cancel", ending))
        self._ttl_seconds = settings.failure_ttl_seconds

    async def cancel(self, id: str, token: str) -> str | None:
        """Cancel a job that waits, with its dependents as their `on_failure` says; ask for the stop of one that runs.

        Return `canceled`, `stopped`, or `started` while it still runs; None where there is no such job. Call it again
        with the same `token` to learn whether it has stopped: it may be tried again meanwhile and is canceled then.
        Raises CancelRefusedError for one that has ended, RedisError and TimeoutError.
        """
        answer = await self._script(args=[self._ttl_seconds, token, id])
        word = None if answer is None else answer.decode(errors="replace")
        if word and word.startswith(" "):
            raise CancelRefusedError(word.strip())
        return word
