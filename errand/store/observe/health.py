"""Whether the service is well, apart from whether jobs can be taken: workers, held types, what waits longest."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from errand.contract.job import Job
from errand.redis.clock import Clock
from errand.redis.lua.loader import read_script
from errand.redis.wrong_type import WrongKey, read_wrong_keys
from errand.store.held_types import HeldType
from errand.store.observe.live import find_live_since


@dataclass(frozen=True)
class Oldest:
    """The queued job that has waited longest: its queue, and since when (RFC 3339)."""

    queue: str
    since: str


@dataclass(frozen=True)
class Health:
    """How the queues and the types of the API are served.

    `queues_without` and `types_without` have no live worker; in `stuck` are those of both for which jobs wait.
    `late_seconds` is how long ago the first schedule's next occurrence was, 0 where it is to come. `wrong` are keys
    that jobs share and that have a value of a wrong type.
    """

    workers: int
    queues_without: list[str]
    types_without: list[str]
    stuck: list[str]
    held: list[HeldType]
    oldest: Oldest | None
    late_seconds: float
    wrong: list[WrongKey]


class HealthReader:
    """Reads it over one asynchronous client; `types` are the API's, `clock` is set by the answers."""

    def __init__(self, redis: Redis, types: Mapping[str, Job[..., Any]], clock: Clock) -> None:
        self._script = redis.register_script(read_script("observe/health"))
        self._args = [word for job in types.values() for word in (job.type, job.queue.name)]
        self._look = redis.register_script(read_script("observe/keys"))
        self._queues = sorted({job.queue.name for job in types.values()})
        self._clock = clock

    async def read(self) -> Health:
        """Return it. Raises RedisError."""
        asked_at = time.monotonic()
        found = json.loads(
            (await self._script(args=[find_live_since(self._clock), *self._args])).decode(errors="replace")
        )
        self._clock.note_time(found["clock"], asked_at)
        queues, types = dict(found["queues"] or ()), dict(found["types"] or ())
        next_at = found["next_occurrence"]
        late_seconds = max(0.0, int(found["clock"][0]) - float(next_at)) if next_at else 0.0
        waiting = [name for name, queue in queues.items() if queue["waiting"] and not queue["served"]]
        parked = [name for name, type in types.items() if type["parked"] and not type["able"]]
        return Health(
            workers=found["live"],
            queues_without=sorted(name for name, queue in queues.items() if not queue["served"]),
            types_without=sorted(name for name, type in types.items() if not type["able"]),
            stuck=sorted({*waiting, *parked}),
            held=sorted(HeldType(*fields) for fields in found["held"] or ()),
            oldest=_find_oldest(queues),
            late_seconds=late_seconds,
            wrong=read_wrong_keys(await self._look(args=self._queues)),
        )


def _find_oldest(queues: Mapping[str, Any]) -> Oldest | None:
    waiting = [(queue["oldest_at"], name) for name, queue in queues.items() if queue["oldest_at"]]
    if not waiting:
        return None
    since, name = min(waiting)
    return Oldest(name, since)
