"""What runs beside the requests as long as an application does."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis import RedisError

from errand.api.http.stopping import tell_of_stop
from errand.api.store import Store
from errand.redis.server import Durability

logger = logging.getLogger("errand.api")


@asynccontextmanager
async def run_store(store: Store, chores: Sequence[Callable[[], Awaitable[Any]]] = ()) -> AsyncIterator[None]:
    """Keep a store open inside the block, with `chores` beside it; close it after that."""
    tasks = [asyncio.ensure_future(chore()) for chore in chores]
    store.failover.start()
    try:
        with tell_of_stop(store.watcher.stop):
            yield
    finally:
        for task in tasks:
            task.cancel()
        await store.failover.close()
        await store.watcher.close()
        store.bodies.close()
        await store.redis.aclose()


async def tell_durability(found: Awaitable[Durability]) -> None:
    """Warn of a server that may lose jobs; one that is away or a replica may come later. Raises EvictingServerError."""
    try:
        durability = await found
        if not durability.survives_power_cut:
            logger.warning("Acknowledged jobs may not survive a power cut: %s", durability.reason)
    except (RedisError, TimeoutError) as error:
        logger.warning("Redis is away, or not ready (%s); /readyz tells when it is", error)
