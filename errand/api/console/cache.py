"""A cache of what pages show that takes Redis long to read and changes slowly."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")
VALUES_LIMIT = 100  # of all pages together; beyond it the oldest goes


class Cache:
    """Keeps values for some seconds. Those who ask for one while it is being read wait for that read."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Any]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, name: str, seconds: float, read: Callable[[], Awaitable[T]]) -> T:
        """Return the value of that name, read again once it is older than `seconds`. Raises what `read` raises."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            known = self._kept.get(name)
            if known is None or time.monotonic() - known[0] > seconds:
                value = await read()
                self._make_room(name)
                known = self._kept[name] = (time.monotonic(), value)
        found: T = known[1]
        return found

    def _make_room(self, name: str) -> None:
        if len(self._kept) >= VALUES_LIMIT and name not in self._kept:
            oldest = min(self._kept, key=lambda known: self._kept[known][0])
            del self._kept[oldest]
            self._locks.pop(oldest, None)
