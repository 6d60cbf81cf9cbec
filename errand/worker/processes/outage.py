"""Whether Redis has been there long enough to judge others by it."""

import logging
import time

STEADY_SECONDS = 2.0
logger = logging.getLogger("rq.worker")


class Outage:
    """Notes when Redis answers and when not.

    `clock_seconds` stands still while it does not: a job's end can't be told then, so the time must not count against
    it. After a pause the leases of others may have ended, their owners alive: they get a whole lease's time to come
    first. Pauses are measured by the clock on the wall, for the other one stands still while a machine sleeps.
    """

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self.clock_seconds = 0.0
        self._answered_at = self._steady_since = 0.0
        self._is_away = False
        self._complaint = ""

    def note_answer(self) -> None:
        """Note that Redis has answered."""
        pause_seconds = max(0.0, time.time() - self._answered_at)
        if pause_seconds < STEADY_SECONDS:
            self.clock_seconds += pause_seconds
        if pause_seconds > self._lease_seconds / 2:
            self._steady_since = time.monotonic()
        self._answered_at = time.time()
        self._is_away = False

    def note_silence(self, error: Exception) -> None:
        """Note that it did not; say so once."""
        if not self._is_away:
            logger.warning("Redis is away (%s: %s)", type(error).__name__, error)
        self._is_away = True

    def note_refusal(self, error: Exception) -> None:
        """Say once what it refuses."""
        if str(error) != self._complaint:
            logger.error("Redis refuses: %s: %s", type(error).__name__, error)
        self._complaint = str(error)

    @property
    def is_over(self) -> bool:
        """Tell whether Redis has been there for a whole lease."""
        return time.monotonic() - self._steady_since > self._lease_seconds
