"""Canceling jobs that have expired, wherever they wait; any number of workers may."""

import time

from errand.redis import keys
from errand.worker.job_log import log_expired, log_quarantined
from errand.worker.records import Records

MOST_AT_ONCE = 200  # a script holds up everybody else
MOST_SEARCHED = keys.SEARCHED_AT_ONCE
ROUND_SECONDS = 0.25  # the supervisor has leases to renew


class ExpiredJobs:
    """Cancels those of all queues."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def run(self) -> None:
        """Cancel them, for a quarter of a second at most; the rest comes later. Raises RedisError."""
        deadline, first, more = time.monotonic() + ROUND_SECONDS, 0, True
        counts: dict[tuple[str, str], int] = {}
        try:
            while more and time.monotonic() < deadline:
                more, left, expired, quarantined = self._records.expire(first, MOST_AT_ONCE, MOST_SEARCHED)
                first += left
                log_quarantined(quarantined)
                for queue, type, count in expired:
                    counts[queue, type] = counts.get((queue, type), 0) + count
        finally:
            log_expired([(*names, count) for names, count in counts.items()])
