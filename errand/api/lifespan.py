"""What runs beside the requests as long as an application does."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis import RedisError

from errand.api.http.stopping import notify_of_stop
from errand.api.store import Store
from errand.contract.code import hash_codes
from errand.redis.server import Durability
from errand.store.posted_code import PostedCodes

Chore = Callable[[], Awaitable[Any]]

logger = logging.getLogger("errand.api")


@asynccontextmanager
async def run_store(store: Store, chores: Sequence[Chore] = ()) -> AsyncIterator[None]:
    """Keep a store open inside the block, with `chores` beside it; close it after that."""
    tasks = [asyncio.ensure_future(chore()) for chore in chores]
    store.server.failover.start()
    try:
        with notify_of_stop(store.watcher.stop):
            yield
    finally:
        for task in tasks:
            task.cancel()
        await store.server.failover.close()
        await store.watcher.close()
        store.intake.bodies.close()
        await store.server.redis.aclose()


def build_chores(store: Store) -> list[Chore]:
    """Return what runs beside the requests of a real server: it announces the types that it posts, and their code."""
    return [PostedCodes(store.server.redis, hash_codes(store.types)).keep]


async def log_durability(found: Awaitable[Durability]) -> None:
    """Warn of a server that may lose jobs; one that is away or a replica may come later. Raises EvictingServerError."""
    try:
        durability = await found
        if not durability.survives_power_cut:
            logger.warning("Acknowledged jobs may not survive a power cut: %s", durability.reason)
    except (RedisError, TimeoutError) as error:
        logger.warning("Redis is away, or not ready (%s); /readyz says when it is", error)
