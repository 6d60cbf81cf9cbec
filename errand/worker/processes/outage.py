"""Whether Redis has been there long enough to judge others by it."""

import logging
import time

from errand.redis.wrong_type import describe_wrong, is_wrong_type

STEADY_SECONDS = 2.0  # four beats: a longer silence is an outage, and does not count against running jobs
LONGEST_WAIT_SECONDS = 1.0  # after an outage work goes on this soon
logger = logging.getLogger("errand.worker")


class Outage:
    """Notes when Redis answers and when not.

    `clock_seconds` stands still while it does not: a job's end can't be recorded then, so the time must not count
    against it. After a pause the leases of others may have ended, their owners alive: they get a whole lease's time to
    come first, and so where Redis' clock has jumped, as at a failover to a server whose own differs. Pauses are
    measured by the clock on the wall, since the other one stands still while a machine sleeps.
    """

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self.clock_seconds = 0.0
        self._answered_at = self._steady_since = 0.0
        self._epoch: float | None = None
        self._is_away = False
        self._complaint = ""

    def note_answer(self, epoch: float = 0.0) -> None:
        """Note that Redis has answered; say so after an outage. `epoch` is what `Clock.epoch` says since."""
        if self._is_away:
            logger.warning("Redis answers again")
        pause_seconds = max(0.0, time.time() - self._answered_at)
        if pause_seconds < STEADY_SECONDS:
            self.clock_seconds += pause_seconds
        jump_seconds = 0.0 if self._epoch is None else abs(epoch - self._epoch)
        self._epoch = epoch
        if max(pause_seconds, jump_seconds) > self._lease_seconds / 2:
            self._steady_since = time.monotonic()
        self._answered_at = time.time()
        self._is_away = False

    def note_silence(self, error: Exception) -> None:
        """Note that it did not; say so once."""
        if not self._is_away:
            logger.warning("Redis is away (%s: %s)", type(error).__name__, error)
        self._is_away = True

    def note_consent(self) -> None:
        """Note that it has refused nothing; say so after it did."""
        if self._complaint:
            logger.warning("Redis refuses nothing any more")
        self._complaint = ""

    def note_refusal(self, error: Exception) -> None:
        """Say once what it refuses."""
        if str(error) != self._complaint:
            logger.error("Redis refuses: %s: %s", type(error).__name__, error)
        self._complaint = str(error)

    @property
    def is_over(self) -> bool:
        """Whether Redis has been there for a whole lease."""
        return time.monotonic() - self._steady_since > self._lease_seconds


class Pause:
    """How long a loop waits after a fault of Redis before it asks again: a tenth of a second at first, one at most."""

    def __init__(self) -> None:
        self.until = 0.0
        self._seconds = 0.0

    def prolong(self, error: Exception) -> None:
        """Begin it, or double it; say so once."""
        if not self._seconds and is_wrong_type(error):
            logger.error("%s (%s)", describe_wrong(error), error)
        elif not self._seconds:
            name = type(error).__name__
            logger.warning("Redis is away, or refuses (%s: %s); what has ended is kept until it takes it", name, error)
        self._seconds = min(max(0.1, self._seconds * 2), LONGEST_WAIT_SECONDS)
        self.until = time.monotonic() + self._seconds

    def end(self) -> None:
        """Note that Redis has answered; say so after a fault."""
        if self._seconds:
            logger.warning("Redis answers again")
        self._seconds = 0.0
