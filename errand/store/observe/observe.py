"""What tells what happened, why jobs wait and how many there were, for whoever shows it."""

from dataclasses import dataclass

from redis.asyncio import Redis

from errand.redis.clock import Clock
from errand.store.observe.attempts import AttemptReader
from errand.store.observe.failures import FailureReader
from errand.store.observe.payloads import PayloadReader


@dataclass(frozen=True)
class Observe:
    """The readers of what is written down about jobs, over one asynchronous client; `clock` tells Redis' time."""

    redis: Redis
    clock: Clock
    attempts: AttemptReader
    failures: FailureReader
    payloads: PayloadReader


def build_observe(redis: Redis, clock: Clock) -> Observe:
    """Return the readers; nothing is sent yet."""
    return Observe(
        redis,
        clock,
        attempts=AttemptReader(redis),
        failures=FailureReader(redis),
        payloads=PayloadReader(redis),
    )
