"""Starting an application under uvicorn, from the environment."""

import asyncio
import gc
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import FastAPI

from errand.api.http.access_log import log_access
from errand.api.lifespan import build_chores, log_durability
from errand.api.logs import form_logs, logs_access_as_ever
from errand.api.settings import ApiSettings
from errand.contract.catalog import load_catalog
from errand.contract.job import Job
from errand.contract.malloc import give_back_large_blocks
from errand.redis.server import EvictingServerError, check_url
from errand.redis.settings import SettingsError, format_fault, read_settings
from errand.store.settings import QueueSettings

logger = logging.getLogger("errand.api")

Create = Callable[[ApiSettings, QueueSettings, dict[str, Job[..., Any]]], FastAPI]
ReadTypes = Callable[[], dict[str, Job[..., Any]]]


def start(create: Create, read_types: ReadTypes = load_catalog, redis_url: str | None = None) -> FastAPI:
    """Build an application for uvicorn's `--factory`; ends the process with a plain text where it can't be built.

    `redis_url` replaces the setting.
    """
    form_logs()
    give_back_large_blocks()
    try:
        types = read_types()
        queue = QueueSettings(REDIS_URL=redis_url) if redis_url else read_settings(QueueSettings, "the API")
        app = create(read_settings(ApiSettings, "the API"), queue, types)
        app.state.chores += build_chores(app.state.store)
        log_access(app, is_ours=logs_access_as_ever())
        with ThreadPoolExecutor(1) as thread:  # uvicorn builds the application inside its running loop
            checking = log_durability(check_url(queue.redis_url, app.state.store.clock))
            thread.submit(asyncio.run, checking).result()
        gc.freeze()  # what is there now stays: to go through all of it would stop every request for some 60 ms
        return app
    except (SettingsError, EvictingServerError) as error:
        sys.exit(format_fault(error))
