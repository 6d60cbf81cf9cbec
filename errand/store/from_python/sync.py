"""Storing jobs without an event loop: from scripts, and from applications that are not async."""

import threading
import time
from collections.abc import Mapping
from typing import Any

from redis import Redis

from errand.contract.job import Job
from errand.redis.clock import Clock
from errand.redis.lua.loader import read_script
from errand.redis.memory import FRESH_SECONDS, Memory, read_memory
from errand.store.answer import SCRIPTS, UniqueJobError, choose_script, read_answer
from errand.store.bodies import BodyStore, have_large
from errand.store.fields import CallBuilder
from errand.store.from_python.planned import Planned
from errand.store.settings import LifetimeSettings


class SyncEnqueuer:
    """Stores jobs as `Enqueuer` does, over one client that waits: by the same scripts, after the same look at memory.

    Threads may share one.
    """

    def __init__(
        self, redis: Redis, bodies: Redis, settings: LifetimeSettings, types: Mapping[str, Job[..., Any]], clock: Clock
    ) -> None:
        self._redis = redis
        self._clock = clock
        self._bodies = BodyStore(bodies, clock)
        self._builder = CallBuilder(settings, dict(types), clock)
        self._scripts = {name: redis.register_script(read_script(name)) for name in SCRIPTS}
        self._memory = Memory(0, 0)
        self._read_at = float("-inf")
        self._reading = threading.Lock()

    def store(self, planned: Planned) -> str:
        """Store a job; return its id, or that of the one that waits or runs under its unique key.

        Raises FullRedisError, FullBodiesError, UnknownParentError, TooManyDependentsError, TooManyLinksError,
        BodiesGoneError, and RedisError: the job may have been stored then.
        """
        self._check_memory()
        jobs, holder = [planned.build(self._clock.moment())], None
        if have_large(jobs):
            left, holder = self._bodies.put_large(jobs, self._memory.limit)
            jobs = list(left)
        keys, args = self._builder.build(jobs, holder=holder)
        try:
            read_answer(self._scripts[choose_script(jobs, holder)](keys=keys, args=args), jobs, planned.id)
        except UniqueJobError as error:
            return error.id
        return planned.id

    def _check_memory(self) -> None:
        """Ask at most once a second, one thread for all. Raises FullRedisError and RedisError."""
        if time.monotonic() - self._read_at >= FRESH_SECONDS:
            with self._reading:
                if time.monotonic() - self._read_at >= FRESH_SECONDS:
                    self._read()
        self._memory.check()

    def _read(self) -> None:
        asked_at = time.monotonic()
        info: Any = self._redis.info("memory", "server")
        if not self._clock.note_info(info, asked_at):
            self._clock.ask(self._redis)
        self._memory = read_memory(info)
        self._read_at = time.monotonic()
