"""Canceling jobs that wait and stopping jobs that run: one guarded script."""

from collections.abc import Mapping, Sequence

from redis.asyncio import Redis

from errand.redis.lua.loader import Value, assemble
from errand.store.bulk.dependents import Settler
from errand.store.settings import LifetimeSettings


class CancelRefusedError(Exception):
    """Raised when a job can't be canceled; the text says why."""


class Canceller:
    """Cancels jobs over one asynchronous client; `ending` are the values of scripts that end jobs."""

    def __init__(self, redis: Redis, settings: LifetimeSettings, ending: Mapping[str, Value] | None = None) -> None:
        self._script = redis.register_script(assemble("store/cancel", ending))
        self._settler = Settler(redis, settings, ending)
        self._ttl_seconds = settings.failure_ttl_seconds

    async def cancel(self, id: str, token: str) -> str | None:
        """Cancel a job that waits, with its dependents as their `on_failure` says; ask for the stop of one that runs.

        Thousands of dependents are settled some at a time; what is left after a second the workers go on with.
        Return `canceled`, `stopped`, or `started` while it still runs; None where there is no such job. Call it again
        with the same `token` to learn whether it has stopped: it may be tried again meanwhile and is canceled then.
        Raises CancelRefusedError for one that has ended, RedisError and TimeoutError.
        """
        (answer,) = await self._call([id], token)
        word = None if answer is None else answer.decode(errors="replace")
        if word and word.startswith(" "):
            raise CancelRefusedError(word.strip())
        return word

    async def cancel_all(self, ids: Sequence[str], token: str) -> list[bytes | None]:
        """Cancel jobs in one step, as `cancel` does each.

        Return for each b'' (it is canceled, or its worker was asked to stop it), None (there is none) or why it can't
        be. A few hundred ids a call: the server does nothing else meanwhile. Raises RedisError and TimeoutError.
        """
        answers = await self._call(ids, token)
        return [None if answer is None else answer[1:] if answer.startswith(b" ") else b"" for answer in answers]

    async def _call(self, ids: Sequence[str], token: str) -> list[bytes | None]:
        answers: list[bytes | None] = []
        while len(answers) < len(ids):  # of jobs amid long queues fewer are done in a step
            are_left, *more = await self._script(args=[self._ttl_seconds, token, *ids[len(answers) :]])
            answers += more
            if are_left:
                await self._settler.go_on()
        return answers
