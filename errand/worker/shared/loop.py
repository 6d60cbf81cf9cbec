"""The one event loop of a process that runs jobs: async jobs share it, so a client made once serves them all."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any

from errand.contract.errors import name_type
from errand.contract.process import OneProcess, leave
from errand.worker.logs import log_error

END_SECONDS = 2.0  # for what jobs left on the loop; the worker's own stop must fit into a platform's grace
MOST_HELPERS = 64  # threads of asyncio.to_thread and of name look-ups, for all async jobs together

Coro = Coroutine[Any, Any, Any]
TakeCancel = Callable[[Callable[[], object] | None], None]


class LoopThread:
    """Runs coroutines of many threads on one loop, in a thread that begins with the first one.

    A coroutine that ends with SystemExit or stops the loop ends nothing but itself.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def run(
        self, coroutine: Coro, take_cancel: TakeCancel = lambda cancel: None, context: Context | None = None
    ) -> Any:
        """Return what `coroutine` does, in `context` or in a copy of the caller's; raise what it raises.

        `take_cancel` is given what cancels it from any thread, and None when there is nothing more to cancel.
        """
        loop = self._start()
        call = _Call(coroutine)
        take_cancel(lambda: loop.call_soon_threadsafe(call.cancel))
        try:
            loop.call_soon_threadsafe(call.begin, loop, copy_context() if context is None else context)
            result, error = call.ended.get()
        finally:
            take_cancel(None)
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """Cancel what jobs left behind and end the thread; a loop that something blocks is left as it is."""
        loop, self._loop = self._loop, None
        if loop is not None:
            with suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(_clean_up(), loop).result(END_SECONDS)
            self._is_closed = True
            loop.call_soon_threadsafe(loop.stop)

    def stop_inherited(self) -> None:
        """Let nothing more run on the loop, in a process that was just forked: its other coroutines are the parent's.

        The step that forked goes on; what comes after it, at an `await`, ends the process.
        """
        if self._loop is not None:
            self._loop._ready.clear()  # type: ignore[attr-defined]
            self._loop.stop()

    def _start(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = build_loop()
                threading.Thread(target=self._live, args=(self._loop,), name="errand-loop", daemon=True).start()
            return self._loop

    def _live(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        pid = os.getpid()
        while not self._is_closed and os.getpid() == pid:
            try:
                loop.run_forever()
            except BaseException as error:  # SystemExit of an asyncio task that a job left behind
                if os.getpid() == pid:
                    log_error(error, "A task that a job started: %s", name_type(error))
        if os.getpid() != pid:
            print("a process that an async job forks has no loop; end it before the next await", file=sys.stderr)
            leave(1)
        loop.close()


class OwnLoop:
    """Runs one coroutine after another on a loop of the calling thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, coroutine: Coro, context: Context | None = None) -> Any:
        """Return what `coroutine` does, in `context` or in a copy of the caller's; raise what it raises.

        What a signal's handler raises meanwhile cancels it, and is raised when it has ended.
        """
        if self._loop is None:
            self._loop = build_loop()
            asyncio.set_event_loop(self._loop)
        task = self._loop.create_task(coroutine, context=copy_context() if context is None else context)
        try:
            return self._loop.run_until_complete(task)
        except BaseException:
            if not task.done():
                task.cancel()
                with suppress(BaseException):
                    self._loop.run_until_complete(task)
            raise

    def close(self) -> None:
        """Cancel what the job left behind."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.run_until_complete(_clean_up())
            loop.close()
            asyncio.set_event_loop(None)


def build_loop() -> asyncio.AbstractEventLoop:
    """Return a loop; Python's own number of helper threads, CPUs and 4, is meant for one program, not for many jobs."""
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(MOST_HELPERS, "errand-helper"))
    return loop


async def _clean_up() -> None:
    """Cancel all other tasks of this loop, wait a moment for them, and close the asynchronous generators."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=END_SECONDS / 2)
    await asyncio.get_running_loop().shutdown_asyncgens()


class _Call:
    """A coroutine on its way through the loop. Every end goes to `ended`, since the loop must not end with any."""

    def __init__(self, coroutine: Coro) -> None:
        self.ended: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._coroutine = coroutine
        self._task: asyncio.Task[None] | None = None
        self._is_canceled = False

    def begin(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        loop.create_task(self._run(), context=context)

    def cancel(self) -> None:
        self._is_canceled = True
        if self._task is not None:  # one that is canceled before its first step would never say that it has ended
            self._task.cancel()

    async def _run(self) -> None:
        self._task = asyncio.current_task()
        try:
            if self._is_canceled:
                self._coroutine.close()
                raise asyncio.CancelledError
            with OneProcess():  # here already: what comes out would go on with the loop
                result = await self._coroutine
            self.ended.put((result, None))
        except BaseException as error:  # SystemExit and KeyboardInterrupt would end the loop, for all
            self.ended.put((None, error))
