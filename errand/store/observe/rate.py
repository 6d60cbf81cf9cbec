"""When a job may be expected to start: how many ended in the last minutes, and how many are before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

SECONDS = 60
LEAST_SECONDS = 10  # so much of this minute has to be over before it says something


@dataclass(frozen=True)
class Expected:
    """In how many seconds a job starts, by the median minute, and by a slow one: of ten minutes one is slower."""

    p50_seconds: float
    p90_seconds: float | None


def expect_start(before: int, ends: Sequence[int], into_seconds: float, waiting_seconds: float) -> Expected | None:
    """Return when a job starts that has so many before it, None where nothing has ended.

    `ends` are how many jobs ended in each minute, the newest first, which is `into_seconds` old. What ended while jobs
    waited, `waiting_seconds` long, says what the workers can do; what ended before only what was asked of them, and is
    taken where there is nothing else.
    """
    this, *whole = ends or [0]
    now = [this / into_seconds] if into_seconds >= LEAST_SECONDS else []
    busy = int((waiting_seconds - into_seconds) // SECONDS)
    rates = now * (waiting_seconds >= into_seconds) + [count / SECONDS for count in whole[: max(0, busy)]]
    if not any(rates):
        rates = now + [count / SECONDS for count in whole]
        rates = [rate for rate in rates if rate]
    if not rates:
        return None
    rates.sort()
    middle, slow = median(rates), rates[int(0.1 * (len(rates) - 1))]
    if not middle:
        return None
    return Expected(round((before + 1) / middle, 1), round((before + 1) / slow, 1) if slow else None)
