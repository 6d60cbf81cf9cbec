"""Jobs that expire, as the API stores them."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import Redis

from errand import Backoff, job
from errand.contract.job import Job
from errand.redis.lua.loader import read_script
from errand.store.fields import CallBuilder
from errand.store.new_job import NewJob
from errand.store.settings import QueueSettings
from errand.worker.maintenance.expired import ExpiredJobs
from errand.worker.records import Records
from tests.support.job_types import TALLY
from tests.worker.scripts import build_records

EXPIRES = "errand:expires"


@job(expires="end", retry=Backoff(hours=48, base_seconds=7200))
def run() -> None:
    """Be sent in time or not at all."""


LETTER: Job[..., Any] = run.adopt("jobs.letter")


def store(
    redis: Redis, settings: QueueSettings, count: int = 1, expires: float = -50, of: Any = TALLY, **options: Any
) -> list[str]:
    """Store jobs that expire in so many seconds from now, which may be past; return their ids."""
    builder = CallBuilder(settings, {of.type: of})
    life = {"created_at": datetime.now(UTC) - timedelta(seconds=100), "expires_in_seconds": 100 + expires}
    payload = {"number": 1} if of is TALLY else {}
    keys, args = builder.build([NewJob(of, payload, **{**life, **options}) for _ in range(count)])
    redis.register_script(read_script("store/enqueue"))(keys, args)
    return [name.rpartition(":")[2] for name in keys[3:]]


def store_one(redis: Redis, settings: QueueSettings, **options: Any) -> str:
    (id,) = store(redis, settings, **options)
    return id


def let_expire(redis: Redis, *ids: str) -> None:
    """Let jobs' time be over, one after the other."""
    now_ms = time.time() * 1000
    redis.zadd(EXPIRES, {id: now_ms - len(ids) + number for number, id in enumerate(ids)})


def look(redis: Redis, records: Records | None = None) -> None:
    """Do a worker's chore once."""
    ExpiredJobs(records or build_records(redis)).run()
