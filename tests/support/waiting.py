"""Waiting for what other processes and threads do."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[..., T], timeout_seconds: float = 20.0) -> T:
    """Ask `condition` until it answers something true, and return that."""
    deadline = time.monotonic() + timeout_seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"still {found!r} after {timeout_seconds} s"
        time.sleep(0.05)
    return found


async def wait_async(condition: Callable[..., T], timeout_seconds: float = 20.0) -> T:
    """Do as `wait_until` inside an event loop, which goes on meanwhile."""
    async with asyncio.timeout(timeout_seconds):
        while not (found := condition()):  # noqa: ASYNC110 - it may ask Redis, which sets no event
            await asyncio.sleep(0.02)
    return found
