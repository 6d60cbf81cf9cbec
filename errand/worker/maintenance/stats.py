"""Keeping the counts of how jobs ended: each minute's go to the totals and to what `/v1/stats` reads."""

import time

from redis import Redis

from errand.store.observe.rollup import Rollup

INTERVAL_SECONDS = 10.0  # the counts of a minute are rolled up once it is over: six looks a minute are enough


class StatsRollup:
    """Rolls up the counts of all types; any number of workers may."""

    def __init__(self, redis: Redis) -> None:
        self._rollup = Rollup(redis)
        self._looked_at = float("-inf")
        self._is_behind = False

    def run(self) -> None:
        """Do what is due, what is left at the next call. Raises RedisError."""
        if not self._is_behind and time.monotonic() - self._looked_at < INTERVAL_SECONDS:
            return
        self._looked_at = time.monotonic()
        self._is_behind = self._rollup.run() > 0
