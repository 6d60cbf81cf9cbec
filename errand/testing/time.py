"""Time in a test: it stands still, and moves on when the test says so."""

import math
import time
from collections.abc import Callable
from typing import Any, Protocol

import pytest
from fakeredis import _helpers
from fakeredis._socket import _base
from fakeredis.commands_mixins import server_mixin

from errand.redis.clock import Clock
from errand.testing import redis as fake


class Time(Protocol):
    """The server's time, as a test may move it."""

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""


class StandingTime:
    """The fake server's time. It stands at a whole second, so that no test depends on how fast a machine is.

    `install` gives it to the server and to the clocks that follow the server's, until the test ends. What the server
    keeps for a time goes by it as well. The program's own `time.time()` is not touched.
    """

    def __init__(self) -> None:
        self._began = float(math.floor(time.time()))
        self._passed = 0.0

    def now(self) -> float:
        """Return the time in seconds since 1970."""
        return self._began + self._passed

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass. Raises ValueError for less than none."""
        if seconds < 0:
            raise ValueError(f"advance({seconds:g}): time goes forward only")
        self._passed += seconds

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Let the fake server and Errand's clocks go by this time until `patch` is undone."""
        standing = _Module(self.now)
        for module in (server_mixin, _helpers, fake):
            patch.setattr(module, "time", standing)
        # This one also limits how long a call may block, so it has to go on.
        patch.setattr(_base, "time", _Module(lambda: time.time() + self._passed))
        patch.setattr(Clock, "now", lambda clock: self.now())
        patch.setattr(Clock, "offset_seconds", 0.0)


class RealTime:
    """The time of a real server, which goes on by itself."""

    def advance(self, seconds: float) -> None:
        """Raise RuntimeError, which says what to do."""
        raise RuntimeError("advance() moves the time of the fake server; Valkey's can't be moved: errand_server = fake")


class _Module:
    """Stands for the module `time`, with another time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.time = now

    def time_ns(self) -> int:
        return round(self.time() * 1_000_000) * 1000

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)
