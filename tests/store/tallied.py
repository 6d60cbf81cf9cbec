"""Counts of ends as the workers' scripts write them, by hand."""

import time

from redis import Redis


def write_end(redis: Redis, minute: int, field: str, count: int = 1, waited_us: int = 0, ran_us: int = 0) -> None:
    """Count ends in a minute since 1970: `field` is type|wait|run|end."""
    type = field.split("|")[0]
    key = f"errand:tally:{minute}"
    redis.hincrby(key, field, count)
    for name, microseconds in (("w", waited_us), ("r", ran_us)):
        if microseconds:
            redis.hincrby(key, f"{type}|{name}", microseconds)


def find_minute(redis: Redis) -> int:
    """Return the minute that it is, by Redis' clock; not one that is about to end."""
    seconds, _ = redis.time()
    if seconds % 60 > 55:
        time.sleep(60 - seconds % 60)
        return find_minute(redis)
    return int(seconds) // 60
