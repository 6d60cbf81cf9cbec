"""Why a job has not started: one verdict, out of what a script gathers in one round trip."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from errand.contract.job import Job
from errand.redis.clock import Clock
from errand.redis.lua.loader import read_script
from errand.store.observe.live import find_live_since
from errand.store.observe.verdicts import JUDGES, Facts, Verdict, Workers
from errand.store.status import ENDED


@dataclass(frozen=True)
class Why:
    """A job's id and status, what it waits for first, and the words of what else would hold it up after that.

    `workers` are those that could run it; None where it has started.
    """

    id: str
    type: str
    queue: str
    status: str
    verdict: Verdict
    then: list[str]
    workers: Workers | None = None


class WhyReader:
    """Reads why jobs wait, over one asynchronous client; `types` are the API's, `clock` is set by the answers."""

    def __init__(self, redis: Redis, types: Mapping[str, Job[..., Any]], clock: Clock) -> None:
        self._script = redis.register_script(read_script("observe/why"))
        self._types = types
        self._queues = [word for job in types.values() for word in (job.type, job.queue.name)]
        self._clock = clock

    async def read(self, id: str) -> Why | None:
        """Return why a job has not started, or that it has; None where there is no job. Raises RedisError."""
        asked_at = time.monotonic()
        found = json.loads(
            (await self._script(args=[id, find_live_since(self._clock), *self._queues])).decode(errors="replace")
        )
        self._clock.note_time(found["clock"], asked_at)
        job = dict(found["job"] or {})
        if "status" not in job:
            return None
        now = int(found["clock"][0]) + int(found["clock"][1]) / 1_000_000
        return _judge(id, Facts(job, found, now, self._find_interval(job)))

    def _find_interval(self, job: Mapping[str, str]) -> float | None:
        """Return how many seconds lie between two starts of the job's type, None where it has no rate."""
        known = self._types.get(job.get("description", ""))
        return known.rate.period_seconds / known.rate.most if known and known.rate else None


def _judge(id: str, facts: Facts) -> Why:
    if facts.status in ENDED or facts.status == "started":
        return Why(id, facts.type, facts.queue, facts.status, _judge_started(facts), [])
    first, *others = [verdict for judge in JUDGES if (verdict := judge(facts))]
    blocking = [verdict.word for verdict in others if verdict.blocks]
    return Why(id, facts.type, facts.queue, facts.status, first, blocking, facts.workers)


def _judge_started(facts: Facts) -> Verdict:
    """Return the verdict of a job that does not wait any more."""
    job = facts.job
    if facts.status == "started":
        since, worker = job.get("started_at"), job.get("worker_name")
        return Verdict("started", f"it runs on {worker} since {since}", blocks=False, since=since, worker=worker)
    since = job.get("ended_at")
    said = {"finished": "it has finished", "failed": "it has failed", "stopped": "it was stopped"}
    reason = f"{said.get(facts.status, 'it was canceled')}{f' at {since}' if since else ''}"
    return Verdict(
        "ended", reason, blocks=False, since=since, error=None if facts.status == "finished" else facts.error
    )
