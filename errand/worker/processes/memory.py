"""How much memory a runner has, and when that is too much to go on with."""

import logging
import os
import time

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
LOOK_SECONDS = 0.01  # a look takes some 5 microseconds
MB = 1024 * 1024
logger = logging.getLogger("errand.worker")


class MemoryWatch:
    """Looks whether this process has more than `most_mb`; without that, and where there is no /proc, never.

    `is_over` stays once it was. A limit that is passed before the first job would have every runner replaced at once:
    that is logged, and the limit not kept.
    """

    def __init__(self, most_mb: int | None) -> None:
        self._most_mb = most_mb
        self._next_look = 0.0
        self.is_over = False
        if most_mb is not None:
            self._check(most_mb)

    def _check(self, most_mb: int) -> None:
        has_mb = measure_mb()
        if has_mb is None:
            logger.warning("WORKER_MAX_MB is not kept: there is no /proc/self/statm here")
        elif has_mb > most_mb:
            logger.warning("WORKER_MAX_MB=%d is not kept: a runner has %.0f MB before its first job", most_mb, has_mb)
        if has_mb is None or has_mb > most_mb:
            self._most_mb = None

    def look(self) -> bool:
        """Return whether the process has just been found to have too much; log it."""
        if self._most_mb is None or self.is_over or (now := time.monotonic()) < self._next_look:
            return False
        self._next_look = now + LOOK_SECONDS
        has_mb = measure_mb() or 0.0
        self.is_over = has_mb > self._most_mb
        if self.is_over:
            text = "The runner has %.0f MB, more than WORKER_MAX_MB=%d: it takes no more jobs, and is replaced"
            logger.warning(text, has_mb, self._most_mb)
        return self.is_over


def measure_mb() -> float | None:
    """Return how much memory this process has (resident), None where that can't be measured."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read(200).split()[1]) * PAGE_BYTES / MB
    except OSError:
        return None
