"""What a worker does for all of its queues, twice a second, beside running jobs."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis import RedisError
from redis.exceptions import OutOfMemoryError
from rq import Worker

from errand.contract.job import Job
from errand.redis.clock import Clock
from errand.redis.failover import renew
from errand.store.settings import LifetimeSettings
from errand.worker.maintenance.bodies import Bodies
from errand.worker.maintenance.dependents import Settling
from errand.worker.maintenance.due import DueJobs
from errand.worker.maintenance.expired import ExpiredJobs
from errand.worker.maintenance.lost_jobs import LostJobs
from errand.worker.maintenance.orphans import Orphans
from errand.worker.maintenance.parked import ParkedJobs
from errand.worker.maintenance.registries import Registries
from errand.worker.maintenance.schedules import DueSchedules
from errand.worker.maintenance.stats import StatsRollup
from errand.worker.maintenance.sweep import Sweep
from errand.worker.maintenance.wrong_type_keys import WrongKeys
from errand.worker.records import Records

logger = logging.getLogger("errand.worker")


class Chores:
    """The supervisor's `Maintenance`, over the connection of `worker` and that of `records`.

    `register` makes the worker known to RQ and to the other workers.
    """

    def __init__(
        self,
        worker: Worker,
        records: Records,
        lifetimes: LifetimeSettings,
        types: dict[str, Job[..., Any]],
        clock: Clock,
        register: Callable[[], object],
    ) -> None:
        redis, names = worker.connection, worker.queue_names()
        self._worker, self._records, self._register = worker, records, register
        self.due, self.wrong = DueJobs(redis, worker.queues), WrongKeys(redis, names)
        self._schedules = DueSchedules(redis, lifetimes, types, clock)
        self._registries = Registries(worker, clock)
        self._all = (
            Settling(records).run,
            ExpiredJobs(records).run,
            self.due.move,
            self._schedules.run,
            Sweep(redis).run,
            ParkedJobs(redis).run,
            Bodies(redis).run,
            StatsRollup(redis).run,
            self._clean_registries,
            Orphans(records, names).run,
            LostJobs(redis).run,
            self.wrong.run,
        )

    def run_chores(self) -> bool:
        """Do what is due of all of them; return whether there is more to do at once.

        A key of a wrong type ends one of them for this time, and the others are done.
        """
        answers = [self.wrong.attempt(chore) for chore in self._all]
        return any(answer is True for answer in answers)

    def register_again(self) -> None:
        """Make the worker known where its record has gone: after a long outage, or a flushed server."""
        self._schedules.store_files_again()
        with suppress(OutOfMemoryError):
            self._register()

    def reconnect(self) -> None:
        """Let what the chores use connect anew."""
        renew(self._worker.connection)
        renew(self._records.redis)

    def _clean_registries(self) -> None:
        """Clean RQ's registries, every ten minutes. A damaged record there ends only this round."""
        try:
            self._registries.run()
        except RedisError:
            raise
        except Exception:
            logger.exception("Worker %s: maintenance stopped at a damaged record", self._worker.name)
