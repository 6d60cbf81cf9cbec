"""A Redis that is away becomes a 503 within 2 seconds."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis import exceptions

from errand.api.http.problems import Problem
from errand.redis import keys
from errand.redis.memory import FullRedisError

logger = logging.getLogger("errand.api")

RETRY_AFTER = {"Retry-After": "2"}
# Without permission for INFO nobody knows whether there is room.
AWAY = (exceptions.ConnectionError, exceptions.TimeoutError, TimeoutError, exceptions.NoPermissionError)


@asynccontextmanager
async def redis_deadline(
    detail: str = "Redis can't be reached at the moment; try again", **extra: Any
) -> AsyncIterator[None]:
    """Bound the Redis calls inside the block. Raises Problem 503 with `detail` and `extra` members."""
    try:
        async with asyncio.timeout(keys.API_SECONDS):
            yield
    except FullRedisError as error:
        logger.warning("Redis is nearly full: %s", error)
        full = f"Redis is nearly full ({error}). Try again when jobs have ended"
        raise Problem(503, "redis-full", full, RETRY_AFTER) from error
    except (exceptions.OutOfMemoryError, exceptions.ReadOnlyError) as error:
        logger.warning("Redis takes nothing: %s", error)
        full = "Redis takes no writes at the moment (full, or a replica); nothing was stored. Try again"
        raise Problem(503, "redis-full", full, RETRY_AFTER) from error
    except AWAY as error:
        logger.warning("Redis is away: %s: %s", type(error).__name__, error)
        raise Problem(503, "redis-away", detail, RETRY_AFTER, **extra) from error
