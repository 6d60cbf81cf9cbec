"""Workers as RQ lists them: ours and plain ones."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis
from rq.utils import utcformat

from errand.redis.clock import Clock
from errand.redis.lua.loader import read_script
from errand.store.observe.live import find_live_since

LISTED = 100  # of a worker's jobs: of a worker's jobs, in an answer: few run more threads


@dataclass(frozen=True)
class RunningJob:
    """A job that a worker runs, and since when."""

    id: str
    type: str
    started_at: str | None


@dataclass(frozen=True)
class WorkerStatus:
    """One worker. `running` counts the jobs that it holds, of which `jobs` are the first hundred.

    `working_seconds` is the time that its ended jobs took, together. Of ours `threads` is how many it runs at once, and
    it is `silent` where it was not heard for so long that it is taken for dead.
    """

    name: str
    state: str
    queues: list[str]
    hostname: str | None
    pid: int | None
    started_at: str | None
    heartbeat_at: str
    running: int
    jobs: list[RunningJob]
    finished: int
    failed: int
    working_seconds: float
    threads: int | None = None
    silent: bool = False


class WorkerReader:
    """Reads workers over one asynchronous client; `clock` is set by the answers."""

    def __init__(self, redis: Redis, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._script = redis.register_script(read_script("store/workers"))

    async def read_all(self) -> list[WorkerStatus]:
        """Return the workers whose record has not expired, by name. Raises RedisError."""
        asked_at = time.monotonic()
        answer = await self._script(args=[LISTED])
        found, clock = json.loads(answer.decode(errors="replace"))
        self._clock.note_time(clock, asked_at)
        since = find_live_since(self._clock)
        return sorted((_build(since, *worker) for worker in found), key=lambda worker: worker.name)


def _build(live_since: str, name: str, found: dict[str, str], running: int, jobs: Any) -> WorkerStatus:
    pid = found.get("pid", "")
    running_jobs = [RunningJob(id, type, _read_time(started)) for id, type, started in jobs]
    return WorkerStatus(
        name=name,
        state=found.get("state", "?"),
        queues=[queue for queue in found.get("queues", "").split(",") if queue],
        hostname=found.get("hostname"),
        pid=int(pid) if pid.isdecimal() else None,
        started_at=found.get("birth"),
        heartbeat_at=found["last_heartbeat"],
        running=running,
        jobs=sorted(running_jobs, key=lambda job: (job.started_at or "", job.id)),
        finished=int(_read_number(found.get("successful_job_count"))),
        failed=int(_read_number(found.get("failed_job_count"))),
        working_seconds=round(_read_number(found.get("total_working_time")), 3),
        threads=int(_read_number(found.get("threads"))) or None,
        silent="ours" in found and found["last_heartbeat"] < live_since,
    )


def _read_number(stored: str | None) -> float:
    try:
        return float(stored or 0)
    except ValueError:  # somebody else's record
        return 0.0


def _read_time(stored: str) -> str | None:
    """Return a time that is kept in seconds, as an execution's is, or as text, as a job's is."""
    try:
        return utcformat(datetime.fromtimestamp(float(stored), UTC))
    except ValueError:
        return stored or None
