"""The threads that run jobs, and stopping one of them."""

import ctypes
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from queue import SimpleQueue

from errand.worker.attempt import describe_failure
from errand.worker.execution import Execution
from errand.worker.report import Report


class RunningExecution:
    """An execution in its thread; `end` and `interrupt` exclude each other, so no other one is hit.

    `error` is what it was interrupted with; `context` is the one in which it failed.
    """

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.interrupted = self.is_stopped = False
        self.error: type[BaseException] | None = None
        self.context = Context()
        self._cancel: Callable[[], object] | None = None
        self._ended = False
        self._lock = threading.Lock()
        self._thread: int | None = None

    def begin(self) -> None:
        """Note the thread."""
        self._thread = threading.get_ident()

    def take_cancel(self, cancel: Callable[[], object] | None) -> None:
        """Note what cancels it while its thread waits for a coroutine, None when it doesn't any more."""
        with self._lock:
            self._cancel = cancel

    def end(self) -> None:
        """Note that nothing of it runs any more."""
        with self._lock:
            self._ended = True

    def interrupt(self, error: type[BaseException]) -> None:
        """Raise `error` in it, at its next step of Python: a call into C code is not left before it returns.

        A coroutine is canceled instead: what is raised in the thread of its loop could hit another one.
        """
        with self._lock:
            if not self._ended and not self.interrupted and self._thread is not None:
                self.interrupted = True
                self.error = error
                if self._cancel is not None:
                    self._cancel()
                else:
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), ctypes.py_object(error))


Run = Callable[[RunningExecution], tuple[Report, BaseException | None]]


class Threads:
    """Runs executions, each in a thread; `done` is called there with its end."""

    def __init__(self, run: Run, done: Callable[[RunningExecution, Report, BaseException | None], None]) -> None:
        self._run = run
        self._done = done
        self._waiting: deque[RunningExecution] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._ringing = False
        self._idle = 0

    def start(self, execution: Execution) -> RunningExecution:
        """Run an execution, in a thread that has nothing to do or in a new one."""
        running = RunningExecution(execution)
        if self._idle > 0:
            self._idle -= 1
        else:
            threading.Thread(target=self._work, daemon=True).start()
        self._waiting.append(running)
        self._ring()
        return running

    def take_back(self, running: RunningExecution) -> None:
        """Count the thread of an execution that has ended as idle; for the thread that calls `start`."""
        if not running.interrupted:
            self._idle += 1

    def _ring(self) -> None:
        """Wake one thread; it wakes the next if there is more to do, so that short jobs need no more than one."""
        if not self._ringing:
            self._ringing = True
            self._bell.put(None)

    def _await(self) -> RunningExecution:
        while True:
            with suppress(IndexError):
                running = self._waiting.popleft()
                if self._waiting:
                    self._ring()
                return running
            self._bell.get()
            self._ringing = False  # before it looks again: what comes from now on rings again

    def _work(self) -> None:
        while True:
            running = self._await()
            running.begin()
            report, error = self._perform(running)
            if running.interrupted:  # what was raised may still be on its way to this thread
                with suppress(BaseException):
                    for _ in range(1000):
                        pass
            self._done(running, report, error)
            if running.interrupted:
                return

    def _perform(self, running: RunningExecution) -> tuple[Report, BaseException | None]:
        try:
            try:
                return self._run(running)
            finally:
                running.end()
        except BaseException as error:  # an interruption that came just as the job had ended
            running.end()
            return describe_failure(running.execution, error), error
