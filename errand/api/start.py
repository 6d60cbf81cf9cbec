"""Starting an application under uvicorn, from the environment."""

import asyncio
import gc
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import FastAPI
from redis import RedisError

from errand.api.http.access_log import log_access
from errand.api.logs import form_logs, logs_access_as_ever
from errand.api.settings import ApiSettings
from errand.contract.allocator import give_back_large_blocks
from errand.contract.catalog import load_catalog
from errand.contract.job import Job
from errand.redis.clock import Clock
from errand.redis.server import EvictingServerError, check_url
from errand.redis.settings import SettingsError, read_settings, tell
from errand.store.settings import QueueSettings

logger = logging.getLogger("errand.api")

Create = Callable[[ApiSettings, QueueSettings, dict[str, Job[..., Any]]], FastAPI]


def start(create: Create) -> FastAPI:
    """Build an application for uvicorn's `--factory`; ends the process with a plain text where it can't be built."""
    form_logs()
    give_back_large_blocks()
    try:
        types = load_catalog()
        queue = read_settings(QueueSettings, "the API")
        app = create(read_settings(ApiSettings, "the API"), queue, types)
        app.state.chores.append(app.state.road.posted.keep)
        log_access(app, is_ours=logs_access_as_ever())
        with ThreadPoolExecutor(1) as thread:  # uvicorn builds the application inside its running loop
            thread.submit(asyncio.run, _check_redis(queue.redis_url, app.state.road.clock)).result()
        gc.freeze()  # what is there now stays: each look at all of it would stop every request for some 60 ms
        return app
    except (SettingsError, EvictingServerError) as error:
        sys.exit(tell(error))


async def _check_redis(url: str, clock: Clock) -> None:
    """Warn of a server that may lose jobs; one that is away or a replica may come later. Raises EvictingServerError."""
    try:
        found = await check_url(url, clock)
        if not found.survives_power_cut:
            logger.warning("Acknowledged jobs may not survive a power cut: %s", found.reason)
    except RedisError as error:
        logger.warning("Redis is away, or not ready (%s); /readyz tells when it is", error)
