"""Jobs that have not ended and are in no list: found by one pass an hour, and put back; the workers share it."""

import logging

from redis import Redis

from errand.redis.lua.loader import read_script

AT_ONCE = 300  # a script holds up everybody else
PACE_MS = 400  # all workers together make a call a beat
PASS_MS = 3_600_000  # an hour: only a fault or a person loses jobs, and a pass reads all that have not ended
BETWEEN_LOOKS_SECONDS = 60  # a plain worker has a job for less than a second without a trace of it
logger = logging.getLogger("errand.worker")


class LostJobs:
    """Those that a fault, or somebody's own hand, has left behind, of the jobs that Errand has stored.

    What a plain worker runs, or has in its intermediate list, is not touched.
    """

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(read_script("worker/lost_jobs"))

    def run(
        self, pace_ms: int = PACE_MS, pass_ms: int = PASS_MS, between_looks_seconds: int = BETWEEN_LOOKS_SECONDS
    ) -> int:
        """Go on with the pass, or begin one an hour after the last; return how many jobs were put back.

        Before that a job is looked at twice, `between_looks_seconds` apart at least. Raises RedisError.
        """
        _, *back = self._script(args=[AT_ONCE, pace_ms, pass_ms, between_looks_seconds])
        counts = {status.decode(): count for status, count in zip(back[::2], back[1::2], strict=True)}
        if counts:
            found = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
            logger.warning("Jobs that were in no list are back where they belong: %s", found)
        return sum(counts.values())
