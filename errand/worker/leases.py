"""Leases: until when an execution is its worker's, and what becomes of one whose lease has ended."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from redis import Redis
from rq.utils import as_text

from errand.redis import keys
from errand.redis.clock import Clock
from errand.redis.lua.loader import Value, assemble, read_script
from errand.worker.execution import Execution
from errand.worker.trace import LOST_TRACE

MOST_AT_ONCE = 100  # what a recovery hands back in one call; the server does nothing else meanwhile
HELD_SECONDS = 7 * 86400  # an outage of Redis shorter than this doesn't end the list of what a worker holds


class Leases:
    """Those of one worker, renewed and given up, and those of all workers that have ended.

    `read_head` returns the arguments with which all scripts of the worker begin (lib/worker/execution_records.lua).
    Every method may raise RedisError.
    """

    def __init__(
        self,
        redis: Redis,
        clock: Clock,
        read_head: Callable[[], list[Any]],
        worker_seconds: int,
        ending: Mapping[str, Value] | None,
    ) -> None:
        self._redis, self._clock = redis, clock
        self._head, self._worker_seconds = read_head, worker_seconds
        self._renew = redis.register_script(read_script("worker/renew_leases"))
        self._recover = redis.register_script(assemble("worker/recover_leases", ending))
        self._release = redis.register_script(assemble("worker/release_leases", ending))

    def renew(self) -> tuple[bool, dict[str, float]]:
        """Renew the leases of all that this worker holds; return whether RQ still knows the worker, and time-outs."""
        head, asked_at = self._head(), time.monotonic()
        known, held, at_us = self._renew(args=[*head, self._worker_seconds, HELD_SECONDS])
        self._clock.note(at_us, asked_at)
        return bool(known), {read_text(held[i]): read_timeout(held[i + 1]) for i in range(0, len(held), 2)}

    def recover(self) -> list[tuple[str, str]]:
        """Hand back what nobody holds any more, of any worker; return members and what became of their jobs."""
        return read_pairs(self._recover(args=[*self._head(), LOST_TRACE, MOST_AT_ONCE]))

    def release(self, why: str, prefix: str = "", spared: Iterable[str] = ()) -> list[tuple[str, str]]:
        """Hand back what this worker holds under executions that begin with `prefix`, less the members `spared`.

        `why` is lost or interrupted; they come to the front of their queues in the order in which they started.
        """
        return read_pairs(self._release(args=[*self._head(), LOST_TRACE, why, prefix, *spared]))

    def find(self, member: str, timeout_seconds: float) -> Execution:
        """Return an execution that is held, without its payload."""
        job_id, _, id = member.rpartition(":")
        found: list[Any] = self._redis.hmget(keys.JOB + job_id, "origin", "description")
        started = self._redis.hget(keys.EXECUTION + member, "created_at")
        now = self._clock.now()
        started_at = float(started or now)
        taken_at = time.monotonic() - max(0.0, now - started_at)
        queue, name = as_text(found[0] or b""), read_text(found[1] or b"")
        return Execution(job_id, id, queue, b"", timeout_seconds, "", "", name, 0, "", started_at, taken_at)


def read_timeout(stored: bytes) -> float:
    """Return RQ's time-out, infinite for its -1."""
    try:
        seconds = float(stored or 180)
    except ValueError:  # damaged while the job runs
        seconds = 180.0
    return seconds if seconds >= 0 else float("inf")


def read_pairs(found: list[bytes]) -> list[tuple[str, str]]:
    """Return what a script gave in twos."""
    return [(read_text(found[i]), read_text(found[i + 1])) for i in range(0, len(found), 2)]


def read_text(stored: bytes) -> str:
    """Return text; an id of somebody else's may hold any bytes."""
    return stored.decode(errors="replace")
