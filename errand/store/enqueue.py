"""Storing jobs: one guarded script."""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from errand.contract.job import Job
from errand.redis.clock import Clock
from errand.redis.group_commit import GroupCommit
from errand.redis.memory import MemoryGuard
from errand.store.answer import SCRIPTS, choose_script, read_answer
from errand.store.fields import CallBuilder
from errand.store.idempotency import Claim
from errand.store.new_job import NewJob
from errand.store.settings import LifetimeSettings


class Enqueuer:
    """Stores jobs over one asynchronous client; they bear the time of `clock`, which is set before."""

    def __init__(
        self,
        redis: Redis,
        settings: LifetimeSettings,
        types: dict[str, Job[..., Any]],
        clock: Clock | None = None,
    ) -> None:
        self.memory = MemoryGuard(redis, clock)
        self.builder = CallBuilder(settings, types, self.memory.clock)
        self._scripts = {script: GroupCommit(redis, script) for script in SCRIPTS}

    async def store(
        self,
        jobs: Sequence[NewJob],
        batch: tuple[str, str] | None = None,
        claim: Claim | None = None,
        holder: str | None = None,
    ) -> list[str]:
        """Store all of the jobs or none; return their statuses. `batch` is an id and a type.

        `holder` holds what of their payloads lies outside, until the jobs do, or until nothing is stored.

        Safe to call again with the same jobs. Jobs stored under a `claim` are due together and wait for no other.
        Raises FullRedisError, RedisError or TimeoutError (the jobs may have been stored), UnknownParentError,
        TooManyDependentsError, TooManyLinksError, StoredBeforeError, BodiesGoneError, and UniqueJobError where another
        job waits or runs under the unique key of the one that `jobs` then has.
        """
        await self.memory.check()
        id = batch[0] if batch else jobs[0].id
        script = self._scripts[choose_script(jobs, holder)]
        return read_answer(await script.call(*self.builder.build(jobs, batch, claim, holder)), jobs, id)
