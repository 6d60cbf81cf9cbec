"""RQ's own maintenance of its registries, by Redis' clock: a worker whose own is wrong takes nobody's jobs."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rq import Queue, Worker
from rq.group import Group
from rq.rate_limit import RateLimitRegistry
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ReadyJobRegistry, StartedJobRegistry
from rq.worker_registration import clean_worker_registry

from errand.redis.clock import Clock
from errand.redis.wrong_type import do_each

# Those of rq.registry.clean_registries (3.0.0); its DeferredJobRegistry has nothing to clean.
REGISTRIES = (FinishedJobRegistry, StartedJobRegistry, FailedJobRegistry, ReadyJobRegistry)


class Registries:
    """The registries of a worker's queues; the workers take turns by RQ's own locks."""

    def __init__(self, worker: Worker, clock: Clock) -> None:
        self._worker = worker
        self._clock = clock
        self._cleaned_at = float("-inf")

    def run(self) -> None:
        """Clean them where that is due, every ten minutes. Raises RedisError, and anything at a damaged record."""
        interval_seconds = self._worker.maintenance_interval
        if time.monotonic() - self._cleaned_at < interval_seconds:
            return
        for queue in self._worker.queues:
            if queue.acquire_maintenance_lock():
                self._clean(queue)
                queue.release_maintenance_lock()
        if Group.acquire_maintenance_lock(self._worker.connection, max(int(interval_seconds) - 1, 1)):
            Group.clean_registries(connection=self._worker.connection)
        self._cleaned_at = time.monotonic()

    def _clean(self, queue: Queue) -> None:
        now, handlers = self._clock.now(), self._worker._exc_handlers

        def clean(kind: type[Any]) -> None:
            registry = kind(queue.name, queue.connection, queue.job_class, serializer=queue.serializer)
            registry.cleanup(now, handlers) if kind is StartedJobRegistry else registry.cleanup(now)

        def clean_limits() -> None:
            for limit in RateLimitRegistry.all(queue.connection):
                limit.cleanup()

        steps: list[Callable[[], object]] = [partial(clean, kind) for kind in REGISTRIES]
        steps += [clean_limits, partial(clean_worker_registry, queue)]
        steps += [partial(queue.intermediate_queue.cleanup, self._worker, queue)]
        do_each(steps)
