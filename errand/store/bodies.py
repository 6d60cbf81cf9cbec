"""Storing what lies outside its jobs, before them: over a client of its own, which may take a while for it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from secrets import token_hex
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError

from errand.contract.bodies import is_large, list_bodies, take_apart
from errand.redis import keys
from errand.redis.clock import Clock
from errand.redis.lua.loader import read_script
from errand.redis.memory import MB
from errand.store.new_job import NewJob


class FullBodiesError(Exception):
    """Raised when there is no room for more bodies; nothing was stored, and the text says how full it is.

    `is_hopeless` where there would not be even if there were no others.
    """

    def __init__(self, used_bytes: int, more_bytes: int, most_bytes: float) -> None:
        super().__init__(
            f"large payloads take {used_bytes / MB:.1f} of {most_bytes / MB:.1f} MB, {keys.BODY_SHARE:.0%} of Redis' "
            f"maxmemory, and this request has {more_bytes / MB:.1f} MB"
        )
        self.is_hopeless = more_bytes > most_bytes


class BodiesGoneError(Exception):
    """Raised when bodies were gone before their jobs were stored; nothing was stored."""


class BodyStore:
    """Stores bodies under their SHA-256, each once. Not for the event loop: it waits for Redis."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self.redis = redis
        self._clock = clock
        self._ask = redis.register_script(read_script("bodies/ask"))

    def put(self, bodies: Mapping[str, bytes], maxmemory_bytes: int) -> str:
        """Store bodies for five minutes; return the holder that holds them until their jobs do, for the enqueue script.

        Raises FullBodiesError where they would take all bodies together over a quarter of `maxmemory_bytes` (0: there
        is no limit), and RedisError.
        """
        holder = f"@{int(self._clock.now())}.{token_hex(8)}"
        most_bytes = keys.BODY_SHARE * maxmemory_bytes
        sizes = [part for name, body in bodies.items() for part in (name, len(body))]
        answer: list[Any] = self._ask(args=[int(most_bytes), holder, *sizes])
        if answer and answer[0] == -1:
            raise FullBodiesError(answer[1], sum(map(len, bodies.values())), most_bytes)
        for name in answer:
            body = bodies[name.decode()]
            if not self.redis.set(keys.BODY + name.decode(), body, xx=True, keepttl=True):
                raise ConnectionError("Redis forgot the place of a body while it was on its way")
        return holder

    def put_large(self, jobs: Sequence[NewJob], maxmemory_bytes: int) -> tuple[Sequence[NewJob], str | None]:
        """Store what of jobs is too large; return the jobs without it, and the holder, None where there is nothing."""
        bodies: dict[str, bytes] = {}
        left = []
        for job in jobs:
            payload, own = take_apart(job.payload, job.type.payload.whole)
            bodies |= own
            left.append(replace(job, payload=payload))
        return (left, self.put(bodies, maxmemory_bytes)) if bodies else (jobs, None)

    def close(self) -> None:
        """Close its connections."""
        self.redis.close()


def have_large(jobs: Sequence[NewJob]) -> bool:
    """Return whether one of the jobs may have something that is too large for its record."""
    return any(is_large(job.payload) for job in jobs)


def describe_bodies(jobs: Sequence[NewJob], holder: str) -> dict[str, Any]:
    """Return the jobs' bodies for the enqueue script."""
    places: dict[tuple[str, int], int] = {}
    of = [
        [places.setdefault(body, len(places) + 1) for body in dict.fromkeys(list_bodies(job.payload))] for job in jobs
    ]
    return {"holder": holder, "all": list(places), "of": of}
