"""Waiting for what other processes and threads do."""

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
