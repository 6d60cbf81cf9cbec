"""Settling dependents of ended jobs that were too many for the script that recorded the end."""

import time

from errand.redis import keys
from errand.worker.records import Records

ROUND_SECONDS = 0.25  # the supervisor has leases to renew


class Settling:
    """Goes on with them, a few hundred a step; any number of workers may."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def run(self) -> bool:
        """Settle them, for a quarter of a second at most; return whether there are more. Raises RedisError."""
        deadline, is_more = time.monotonic() + ROUND_SECONDS, bool(self._records.redis.exists(keys.SETTLING))
        while is_more and time.monotonic() < deadline:
            is_more = self._records.settle()
        return is_more
