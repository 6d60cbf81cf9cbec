"""When a failed attempt is tried again."""

import json
import math
import random
from dataclasses import dataclass
from functools import cached_property

LISTED = 50  # waits that a job's record lists at most, to keep it small


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with full jitter: the nth retry waits 0 to `base_seconds` × 2ⁿ⁻¹, at most `cap_seconds`.

    It waits at least a second (AWS Architecture Blog, «Exponential Backoff And Jitter»). `tries` counts all attempts,
    the first included; they also end when `hours` have passed since the first one's start. Without either there are 5,
    with `hours` alone as many as fit.

    Up to 50 waits are drawn when the job is stored, so that any RQ worker keeps to them. Where there may be more, or
    `hours` are given, the job carries the policy, and Errand's workers draw each wait when a try has failed.
    """

    tries: int | None = None
    base_seconds: float = 2.0
    cap_seconds: float = 3600.0
    hours: float | None = None

    @cached_property
    def retries(self) -> int:
        """How many attempts may follow the first."""
        if self.tries is not None:
            return self.tries - 1
        return 4 if self.hours is None else math.ceil(self.hours * 3600)  # none waits less than a second

    @cached_property
    def policy(self) -> str:
        """What the job carries, as JSON; '' where the list of waits says it all."""
        if self.hours is None and self.retries <= LISTED:
            return ""
        seconds = None if self.hours is None else self.hours * 3600
        policy = {"retries": self.retries, "base": self.base_seconds, "cap": self.cap_seconds, "seconds": seconds}
        return json.dumps({name: value for name, value in policy.items() if value is not None})

    @cached_property
    def ceilings_seconds(self) -> list[float]:
        """The longest wait before each retry that the record lists."""
        retries = self.retries if self.retries <= LISTED else 0
        return [min(self.cap_seconds, self.base_seconds * 2**n) for n in range(retries)]

    def draw_seconds(self) -> list[int]:
        """Return the list for the job's record, in whole seconds as RQ stores them; at least 1 each.

        The wait before each retry; where there are too many for that the cap alone, which plain workers then keep.
        """
        if self.retries > LISTED:
            return [max(1, round(self.cap_seconds))]
        return [max(1, round(random.uniform(0, ceiling))) for ceiling in self.ceilings_seconds]
