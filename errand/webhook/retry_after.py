"""How long a receiver asks to wait (RFC 9110, section 10.2.3)."""

import math
import re
from datetime import UTC
from email.message import Message
from email.utils import parsedate_to_datetime

from errand.contract.attempt import current_attempt

STATUSES = (429, 503)  # RFC 6585 and RFC 9110 give it a meaning with these
MOST_SECONDS = 24 * 3600.0  # half of the time that a webhook is tried


def read_retry_after(status: int, headers: Message) -> float:
    """Return for how many seconds an answer asks to wait, 0 to MOST_SECONDS.

    It is 0 where it asks nothing, or what can't be read.
    """
    asked = headers.get("Retry-After", "").strip()
    if status not in STATUSES:
        return 0.0
    if re.fullmatch("[0-9]+", asked):
        digits = asked.lstrip("0")
        return min(float(digits or 0), MOST_SECONDS) if len(digits) < 10 else MOST_SECONDS
    until = _read_date(asked)
    if until is None:
        return 0.0
    now = _read_date(headers.get("Date", ""))  # by the same clock as `until`
    return min(max(0.0, math.ceil(until - (current_attempt().now() if now is None else now))), MOST_SECONDS)


def _read_date(text: str) -> float | None:
    """Return a date of HTTP, in any of its three forms, in seconds since 1970; None for anything else."""
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()  # asctime's form names no zone
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
