"""What the files of bench/systems/ and the job `stamp` share."""

import os
import time
from functools import cache
from typing import Any

from redis import Redis

STAMPS = "bench:stamps"  # list, to which the jobs `stamp` push how many seconds each has waited


def note_wait(sent: float) -> int:
    """Note how many seconds a job has waited since it was sent; call it first."""
    waited = time.time() - sent
    return int(_open_redis().rpush(STAMPS, waited))


@cache
def _open_redis() -> Redis:
    return Redis.from_url(os.environ["REDIS_URL"])


class BlockingClient:
    """The enqueuing side of a system whose client blocks: a subclass has `enqueue_now` and `enqueue_many_now`."""

    def enqueue_now(self, job: str, *args: Any) -> None:
        """Store one job; blocks."""
        raise NotImplementedError

    def enqueue_many_now(self, job: str, many: list[tuple]) -> None:
        """Store many; blocks."""
        raise NotImplementedError

    async def enqueue(self, job: str, *args: Any) -> None:
        """Store one job."""
        self.enqueue_now(job, *args)

    async def enqueue_many(self, job: str, many: list[tuple]) -> None:
        """Store many."""
        self.enqueue_many_now(job, many)
