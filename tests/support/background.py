"""An event loop in a thread of its own, for the servers that tests run in their process."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
CALL_SECONDS = 10.0  # what is asked of the loop takes milliseconds; a test that hangs would hide the error


class Background:
    """Runs until `stop`."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(CALL_SECONDS)

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function there soon."""
        self.loop.call_soon_threadsafe(function, *args)

    def stop(self) -> None:
        """End the loop with what still runs in it."""
        self.call(self.loop.stop)
        self._thread.join(CALL_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0.01))  # lets transports close and tasks end
        self.loop.close()
