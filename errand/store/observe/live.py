"""Since when a worker of ours has to have been heard to be a live one."""

from datetime import timedelta

from rq.utils import utcformat

from errand.redis import keys
from errand.redis.clock import Clock


def find_live_since(clock: Clock) -> str:
    """Return that time as RQ writes heartbeats, for the scripts that ask for it."""
    return utcformat(clock.moment() - timedelta(seconds=keys.SILENT_SECONDS))
