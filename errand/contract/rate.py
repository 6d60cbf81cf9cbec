"""How many jobs of a type may start in a second, a minute or an hour."""

import re
from dataclasses import dataclass

MOST = 10_000  # Redis keeps the time of each start in the period
PERIODS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Rate:
    """At most `most` starts in any `period_seconds`."""

    most: int
    period_seconds: int


def read_rate(text: str) -> Rate:
    """Return the rate that «14/s», «100/m» or «1000/h» says. Raises ValueError, whose text has the fix."""
    match = re.fullmatch(r"([1-9]\d{0,9})/([smh])", text, re.ASCII) if isinstance(text, str) else None
    if not match:
        raise ValueError('write how many may start a second, a minute or an hour: "14/s", "100/m", "1000/h"')
    if int(match[1]) > MOST:
        raise ValueError(f"give at most {MOST:,}, in a shorter period")
    return Rate(int(match[1]), PERIODS[match[2]])
