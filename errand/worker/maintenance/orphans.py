"""Orphans: jobs that wait for others which ended without releasing them, under a plain worker or by RQ's own tools."""

import time
from collections.abc import Sequence
from functools import partial

from errand.redis.wrong_type import do_each
from errand.worker.records import Records

INTERVAL_SECONDS = 60.0  # Errand's own ends release dependents at once; this is for others' tools
PAGE = 200  # a script holds up everybody else
PAGES = 10  # of a queue each time: the supervisor has leases to renew


class Orphans:
    """Settles them, a part of each queue's waiting jobs a minute; any number of workers may."""

    def __init__(self, records: Records, queues: Sequence[str]) -> None:
        self._records = records
        self._first = dict.fromkeys(queues, 0)
        self._swept_at = float("-inf")

    def run(self) -> None:
        """Do what is due. Raises RedisError."""
        if time.monotonic() - self._swept_at < INTERVAL_SECONDS:
            return
        self._swept_at = time.monotonic()
        do_each(partial(self._sweep, queue) for queue in self._first)

    def _sweep(self, queue: str) -> None:
        for _ in range(PAGES):
            seen, gone = self._records.settle_orphans(queue, self._first[queue], PAGE)
            if seen == 0:
                self._first[queue] = 0
                return
            self._first[queue] += seen - gone
