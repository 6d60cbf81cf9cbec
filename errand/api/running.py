"""What runs beside the requests as long as an application does."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis import RedisError

from errand.api.http.stopping import tell_of_stop
from errand.api.state import Road
from errand.redis.server import Durability

logger = logging.getLogger("errand.api")


@asynccontextmanager
async def run_road(road: Road, chores: Sequence[Callable[[], Awaitable[Any]]] = ()) -> AsyncIterator[None]:
    """Keep a road to Redis open inside the block, with `chores` beside it; close it after that."""
    tasks = [asyncio.ensure_future(chore()) for chore in chores]
    road.failover.start()
    try:
        with tell_of_stop(road.watcher.stop):
            yield
    finally:
        for task in tasks:
            task.cancel()
        await road.failover.close()
        await road.watcher.close()
        road.bodies.close()
        await road.redis.aclose()


async def tell_durability(found: Awaitable[Durability]) -> None:
    """Warn of a server that may lose jobs; one that is away or a replica may come later. Raises EvictingServerError."""
    try:
        durability = await found
        if not durability.survives_power_cut:
            logger.warning("Acknowledged jobs may not survive a power cut: %s", durability.reason)
    except (RedisError, TimeoutError) as error:
        logger.warning("Redis is away, or not ready (%s); /readyz tells when it is", error)
