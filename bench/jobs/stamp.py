"""Tell how long it waited before it started."""

import os
import time
from functools import cache

from redis import Redis

from errand import job


@cache
def _connect() -> Redis:
    return Redis.from_url(os.environ["REDIS_URL"])


@job(example={"sent": 0.0})
def run(sent: float) -> int:
    """Note the seconds since it was sent."""
    waited = time.time() - sent
    return int(_connect().rpush("bench:stamps", waited))
