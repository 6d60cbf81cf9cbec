"""When a mail is tried again, and which mail server its jobs depend on: both from the environment."""

import math
from functools import cache

from errand.contract.retry import Backoff
from errand.redis.environment import read_variable

TRY_HOURS = 48.0  # RFC 5321, section 4.5.4.1 has 4 or 5 days; a mail from a program is seldom worth that


def read_retry() -> Backoff:
    """Return the policy for `MAIL_TRY_HOURS`: within minutes at first, about hourly from the second hour on.

    A value that can't be read counts as 48 hours; MailSettings says so at the start.
    """
    return _build(read_variable("MAIL_TRY_HOURS") or "")


@cache
def _build(text: str) -> Backoff:
    try:
        hours = float(text or TRY_HOURS)
    except ValueError:
        hours = TRY_HOURS
    if not 0 < hours < math.inf:
        hours = TRY_HOURS
    # Twice as many tries as fit on average: the hours end them; a plain `rq worker`, which knows no hours, stops too.
    return Backoff(tries=20 + math.ceil(2 * hours), base_seconds=2, cap_seconds=7200, hours=hours)


def read_service() -> str:
    """Return what all mails depend on: the server and the login."""
    return read_variable("SMTP_URL") or ""
