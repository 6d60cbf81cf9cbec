"""What runs beside the requests as long as an application does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from errand.api.http.stopping import tell_of_stop
from errand.api.state import Road


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
