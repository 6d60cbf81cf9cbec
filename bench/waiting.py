"""Waiting until something is so."""

import time
from collections.abc import Callable

LOOK_SECONDS = 0.02  # between two looks: seldom enough to take nothing from what is measured


def wait_until(condition: Callable[[], object], what: str, seconds: float, look_seconds: float = LOOK_SECONDS) -> None:
    """Ask until the answer is true. Raises TimeoutError, which says `what` is not so, after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} after {seconds:g} s")
        time.sleep(look_seconds)
