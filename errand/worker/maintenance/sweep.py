"""Sweeping the indexes: they forget jobs that have expired; any number of workers share the work."""

import time

from redis import Redis

from errand.redis.lua.loader import read_script

AT_ONCE = 500  # a script holds up everybody else
PACE_MS = 400  # all workers together make a call a beat where little has expired
ROUND_SECONDS = 0.1  # the supervisor has leases to renew


class Sweep:
    """Sweeps the indexes and tags of the jobs."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(read_script("worker/sweep"))

    def run(self, pace_ms: int = PACE_MS) -> int:
        """Go on with the round where it was left; return how many entries were taken out. Raises RedisError.

        Where many have expired it goes on at once, for a tenth of a second.
        """
        deadline, total = time.monotonic() + ROUND_SECONDS, 0
        looked: int
        removed: int
        while True:
            looked, removed = self._script(args=[AT_ONCE, pace_ms])
            total += removed
            if 4 * removed < looked or not removed or time.monotonic() > deadline:
                return total
            pace_ms = 0
