"""Ending streams when the process stops: uvicorn ends the lifespan only after the last answer, so they would go on."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def notify_of_stop(call: Callable[[], None]) -> Iterator[None]:
    """Run `call` in the running loop when the process is asked to end inside the block, beside the server's handler."""
    if threading.current_thread() is not threading.main_thread():  # signals come to the main thread only
        yield
        return
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(call)
        if callable(before[number]):
            before[number](number, frame)

    for number in SIGNALS:
        if callable(before[number]):  # where the server has no handler, ours would keep the process from ending
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number in SIGNALS:
            signal.signal(number, before[number])
