"""When a failed attempt is tried again."""

import random
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with full jitter: the nth retry waits 0 to `base_seconds` × 2ⁿ, at most `cap_seconds`.

    `tries` counts all attempts, the first included. The waits are drawn when the job is stored, so that any RQ worker
    keeps them (AWS Architecture Blog, «Exponential Backoff And Jitter»).
    """

    tries: int = 5
    base_seconds: float = 2.0
    cap_seconds: float = 3600.0

    @cached_property
    def ceilings_seconds(self) -> list[float]:
        """The longest wait before each retry."""
        return [min(self.cap_seconds, self.base_seconds * 2 ** min(n, 64)) for n in range(self.tries - 1)]

    def draw_seconds(self) -> list[int]:
        """Return the wait before each retry, in whole seconds as RQ stores them; at least 1 each."""
        return [max(1, round(random.uniform(0, ceiling))) for ceiling in self.ceilings_seconds]
