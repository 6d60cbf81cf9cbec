"""Parked jobs: the log says what they wait for, and those whose worker will not come go back to their queue."""

import logging
import time

from redis import Redis

from errand.redis.lua.loader import read_script

INTERVAL_SECONDS = 5.0  # a worker that can run them takes them itself, at once
LOG_SECONDS = 60  # one worker of all logs it, once in this time
MOST_AT_ONCE = 500  # a script holds up everybody else
logger = logging.getLogger("errand.worker")


class ParkedJobs:
    """Looks after those of all queues; any number of workers may."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(read_script("worker/parked"))
        self._looked_at = float("-inf")

    def run(self) -> None:
        """Do what is due. Raises RedisError."""
        if time.monotonic() - self._looked_at < INTERVAL_SECONDS:
            return
        self._looked_at = time.monotonic()
        for queue, type, count, why in self._script(args=[MOST_AT_ONCE, LOG_SECONDS]):
            names = queue.decode(errors="replace"), count, type.decode(errors="replace"), why.decode()
            logger.warning("Queue %s: %d of %s wait: %s", *names)
