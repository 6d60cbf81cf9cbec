"""A worker's chores, as far as a test sees them."""

from typing import Any

from errand.contract.job import Job
from errand.contract.load import list_queues
from errand.redis import keys
from errand.store.fields import offline_queue
from errand.store.settings import LifetimeSettings
from errand.worker.maintenance.dependents import Settling
from errand.worker.maintenance.due import DueJobs
from errand.worker.maintenance.expired import ExpiredJobs
from errand.worker.maintenance.orphans import Orphans
from errand.worker.maintenance.schedules import DueSchedules
from errand.worker.records import Records


class DrainChores:
    """Those of all tests of a process.

    Most often nothing waits or expires, and a script takes the fake server as long as ten commands: it is asked first.
    """

    def __init__(self, records: Records, types: dict[str, Job[..., Any]], settings: LifetimeSettings) -> None:
        self._records = records
        self.queue_names = [queue.name for queue in list_queues(types)]
        self._settling = Settling(records)
        self._expired = ExpiredJobs(records)
        self._due = DueJobs(records.redis, [offline_queue(name) for name in self.queue_names])
        self._schedules = DueSchedules(records.redis, settings, types, records.clock)

    def begin(self) -> None:
        """Forget the test before: the job files' schedules have to be stored anew."""
        self._schedules.store_files_again()

    def run(self) -> None:
        """Settle dependents that are left, cancel what has expired, move what is due, serve the schedules."""
        self._settling.run()
        if self._records.redis.exists(keys.EXPIRES):
            self._expired.run()
        if self._has(keys.SCHEDULED):
            self._due.move()
        self._schedules.run()

    def settle_orphans(self) -> None:
        """Settle jobs that wait for others which RQ's own tools have ended."""
        if self._has(keys.DEFERRED):
            Orphans(self._records, self.queue_names).run()

    def _has(self, registry: str) -> bool:
        return bool(self._records.redis.exists(*(registry + name for name in self.queue_names)))
