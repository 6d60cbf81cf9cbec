"""When the next runner may start."""

import time

YOUNG_SECONDS = 5.0  # one that dies sooner did so for a reason that the next one has as well: an import, no memory
LONGEST_WAIT_SECONDS = 30.0  # a person who mends the reason waits no longer


class Respawn:
    """At once, or later each time where runners die young one after another: 2, 4, 8 seconds and so on."""

    def __init__(self) -> None:
        self._at = 0.0
        self._quick_deaths = 0

    @property
    def is_due(self) -> bool:
        """Whether it may start now."""
        return time.monotonic() >= self._at

    def note_death(self, lived_seconds: float) -> None:
        """Note that one has died."""
        self._quick_deaths = self._quick_deaths + 1 if lived_seconds < YOUNG_SECONDS else 0
        wait_seconds = 2.0 ** (self._quick_deaths - 1) if self._quick_deaths > 1 else 0.0
        self._at = time.monotonic() + min(wait_seconds, LONGEST_WAIT_SECONDS)
