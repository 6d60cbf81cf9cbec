"""The readers of what happened, why jobs wait and how many there were, for the routes and pages that show it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from errand.contract.job import Job
from errand.redis.clock import Clock
from errand.store.observe.attempts import AttemptReader
from errand.store.observe.failures import FailureReader
from errand.store.observe.health import HealthReader
from errand.store.observe.logs import LogReader
from errand.store.observe.metrics import MetricsReader
from errand.store.observe.payloads import PayloadReader
from errand.store.observe.record import RecordReader
from errand.store.observe.rollup import AsyncRollup
from errand.store.observe.stats import StatsReader
from errand.store.observe.why import WhyReader


@dataclass(frozen=True)
class Observe:
    """The readers of what is written down about jobs, over one asynchronous client; `clock` has Redis' time."""

    redis: Redis
    clock: Clock
    attempts: AttemptReader
    failures: FailureReader
    health: HealthReader
    logs: LogReader
    metrics: MetricsReader
    payloads: PayloadReader
    records: RecordReader
    stats: StatsReader
    why: WhyReader


def build_observe(redis: Redis, clock: Clock, types: Mapping[str, Job[..., Any]]) -> Observe:
    """Return the readers; nothing is sent yet."""
    rollup = AsyncRollup(redis)
    return Observe(
        redis,
        clock,
        attempts=AttemptReader(redis),
        failures=FailureReader(redis),
        health=HealthReader(redis, types, clock),
        logs=LogReader(redis),
        metrics=MetricsReader(redis, clock, rollup),
        payloads=PayloadReader(redis),
        records=RecordReader(redis),
        stats=StatsReader(redis, clock, rollup),
        why=WhyReader(redis, types, clock),
    )
