"""Deleting jobs with all their keys: one guarded script."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis

from errand.redis.lua.loader import Value, assemble
from errand.store.bulk.dependents import Settler
from errand.store.settings import LifetimeSettings


class DeleteRefusedError(Exception):
    """Raised when a job can't be deleted; the text says why."""


class Deleter:
    """Deletes jobs that don't run, over one asynchronous client; `ending` are the values of scripts that end jobs."""

    def __init__(self, redis: Redis, settings: LifetimeSettings, ending: Mapping[str, Value] | None = None) -> None:
        self._script = redis.register_script(assemble("store/delete", ending))
        self._settler = Settler(redis, settings, ending)
        self._ttl_seconds = settings.failure_ttl_seconds

    async def delete(self, id: str) -> bool:
        """Delete a job; return whether there was one of this id.

        One that waits is canceled first: its dependents go as their `on_failure` says, and those that would wait for
        its requeue are canceled too. Raises DeleteRefusedError for one that runs, RedisError and TimeoutError.
        """
        (outcome,) = await self.delete_all([id])
        if outcome:
            raise DeleteRefusedError(outcome.decode(errors="replace"))
        return outcome is not None

    async def delete_all(
        self, ids: Sequence[str | bytes], statuses: Sequence[str] = (), registry: str | None = None
    ) -> list[bytes | None]:
        """Delete jobs in one step, those that have one of `statuses` and are in `registry` where they are given.

        Return for each b'' (it is deleted), None (there is none) or why it can't be. A few hundred ids a call: the
        server does nothing else meanwhile. Raises RedisError and TimeoutError.
        """
        request: dict[str, Any] = {"failure_seconds": self._ttl_seconds}
        if statuses:
            request["statuses"] = dict.fromkeys(statuses, True)
        if registry:
            request["registry"] = registry
        outcomes: list[bytes | None] = []
        while len(outcomes) < len(ids):  # of jobs amid long queues fewer are done in a step
            request["token"] = str(uuid4())
            are_left, *more = await self._script(args=[json.dumps(request), *ids[len(outcomes) :]])
            outcomes += more
            if are_left:
                await self._settler.go_on()
        return outcomes
