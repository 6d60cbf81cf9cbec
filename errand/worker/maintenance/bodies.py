"""Bodies that nobody needs any more: their jobs finished under a plain worker, expired, or were never stored."""

import time
from typing import Any

from redis import Redis

from errand.redis.lua.loader import read_script

INTERVAL_SECONDS = 5.0  # between two rounds; within one every beat looks at a page
PAGE = 200  # a script holds up everybody else


class Bodies:
    """Looks at who holds them, some at a time and round and round; any number of workers may."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(read_script("bodies/sweep"))
        self._place: list[Any] = ["", 0]
        self._looked_at = float("-inf")

    def run(self) -> None:
        """Do what is due. Raises RedisError."""
        last, cursor = self._place
        is_begun = last or int(cursor)
        if not is_begun and time.monotonic() - self._looked_at < INTERVAL_SECONDS:
            return
        self._looked_at = time.monotonic()
        self._place = self._script(args=[last, PAGE, cursor])
