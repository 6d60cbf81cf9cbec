"""A Redis that is away, or refuses, becomes a 503 within 2 seconds."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis import RedisError, exceptions

from errand.api.http.problems import Problem
from errand.redis import keys
from errand.redis.memory import FullRedisError
from errand.redis.refusals import Refusal, find_refusal
from errand.redis.wrong_type import describe_wrong, is_wrong_type, read_wrong

logger = logging.getLogger("errand.api")

RETRY_AFTER = {
    "Retry-After": "2"
}  # seconds; for a Redis that is away about as long as it was waited for (keys.API_SECONDS)
AWAY = (exceptions.ConnectionError, exceptions.TimeoutError, TimeoutError)


@asynccontextmanager
async def redis_deadline(
    detail: str = "Redis can't be reached at the moment; try again",
    *,
    seconds: float | None = keys.API_SECONDS,
    **extra: Any,
) -> AsyncIterator[None]:
    """Bound the Redis calls inside the block to `seconds`; with None they have only their own limits.

    Raises Problem 503: with `detail` and the members `extra` where Redis is away, with what to do where it refuses.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except FullRedisError as error:
        logger.warning("Redis is nearly full: %s", error)
        full = f"Redis is nearly full ({error}). Try again when jobs have ended"
        raise Problem(503, "redis-full", full, RETRY_AFTER) from error
    except (RedisError, TimeoutError) as error:
        refusal = find_refusal(error)
        if refusal is not None:
            raise _describe_refusal(refusal, error, extra) from error
        if is_wrong_type(error):
            said = describe_wrong(error)
            logger.error("%s", said)
            said += ". Nothing was stored" if read_wrong(error) else ""  # a script that names the key has undone all
            raise Problem(503, "redis-wrong-type", said, RETRY_AFTER, **extra) from error
        if not isinstance(error, AWAY):
            raise
        logger.warning("Redis is away: %s: %s", type(error).__name__, error)
        raise Problem(503, "redis-away", detail, RETRY_AFTER, **extra) from error


def _describe_refusal(refusal: Refusal, error: Exception, extra: dict[str, Any]) -> Problem:
    logger.warning("Redis refuses: %s: %s", type(error).__name__, error)
    said = refusal.describe(error)
    if refusal.is_whole:
        return Problem(503, refusal.name, f"{said}. Nothing was stored", RETRY_AFTER)
    return Problem(503, refusal.name, said, RETRY_AFTER, **extra)
