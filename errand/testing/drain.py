"""Running the jobs that are due as a worker does, by its own code, in the caller's thread and one at a time."""

import asyncio
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from functools import partial
from secrets import token_hex
from typing import Any, NamedTuple, TypeVar

from errand.store.settings import LifetimeSettings
from errand.testing.server import RedisServer
from errand.testing.target import Target
from errand.worker.attempt import JobStopped, LiveAttempt, perform
from errand.worker.execution import Execution
from errand.worker.job_log import has_failed, log_outcome
from errand.worker.report import Report
from errand.worker.served import ServedQueues

T = TypeVar("T")


class Ran(NamedTuple):
    """An attempt that `drain` has made, and what became of its job: `scheduled` is to be tried again."""

    id: str
    type: str
    status: str
    attempt: int
    error: BaseException | None


class EndlessError(Exception):
    """Raised where jobs go on and on."""


class Drainer:
    """A worker of one test; made when it is first asked to work, by the environment as it is then."""

    def __init__(self, target: Target, server: RedisServer, settings: LifetimeSettings) -> None:
        self._target = target
        self._records = target.provide_records(server)
        self.chores = target.provide_chores(self._records, settings)
        self.chores.begin()
        self._queues = ServedQueues(self.chores.queue_names, in_turn=True)
        self._loop = asyncio.Runner(loop_factory=asyncio.new_event_loop)  # async jobs of a worker share one
        self._set_by_hooks: Context | None = None

    def run(self, raise_errors: bool, most: int) -> list[Ran]:
        """Run what is due until nothing is; return the attempts. Raises what a job raised, EndlessError, RedisError."""
        __tracebackhide__ = True
        self._start()
        ran: list[Ran] = []
        while (execution := self._find()) is not None:
            while execution is not None:
                if len(ran) >= most:
                    self._record(Report("interrupted", execution, ended=execution.now()), None, is_last=True)
                    raise EndlessError(f"drain() has run {most} jobs and there are more; drain(most={10 * most})?")
                report, error = self._perform(execution)
                is_raised = error is not None and (_ends_test(error) or (raise_errors and has_failed(report)))
                status, following = self._record(report, error, is_last=is_raised)
                ran.append(Ran(execution.job_id, execution.description, status, execution.attempt, error))
                if is_raised:
                    assert error is not None
                    error.add_note(f"raised by job {execution.description} {execution.job_id}, which is {status} now")
                    raise error
                execution = following
        return ran

    def close(self) -> None:
        """Call what is to run after the last job, if there was one, and end the loop."""
        if self._set_by_hooks is not None:
            for hook in self._target.hooks.stop:
                self._call_hook(hook)
        self._loop.close()

    def _start(self) -> None:
        """Call what is to run before the first job; settle what others have left behind, RQ's own tools."""
        self.chores.settle_orphans()
        if self._set_by_hooks is None:
            self._set_by_hooks = copy_context()
            for hook in self._target.hooks.start:
                self._call_hook(hook)

    def _call_hook(self, hook: Callable[[], Any]) -> None:
        assert self._set_by_hooks is not None

        def call() -> None:
            result = hook()
            if inspect.iscoroutine(result):
                self._loop.run(result, context=self._set_by_hooks)

        _call_outside_loop(partial(self._set_by_hooks.run, call))

    def _find(self) -> Execution | None:
        self.chores.run()
        executions = self._records.exchange([], [token_hex(16)], self._queues).executions
        return executions[0] if executions else None

    def _perform(self, execution: Execution) -> tuple[Report, BaseException | None]:
        """Run one attempt, in a copy of the caller's context with what hooks have set."""
        context = copy_context()
        for variable in self._set_by_hooks or ():
            if variable not in context:
                assert self._set_by_hooks is not None
                context.run(variable.set, self._set_by_hooks[variable])

        def send_progress(text: str) -> None:
            self._records.exchange([Report("progress", execution, text)])

        attempt = LiveAttempt(send_progress, execution.now, None, self._loop.run, execution.times.expires_at)
        run = partial(context.run, perform, execution, attempt, self._target.job_class, self._records.redis)
        return _call_outside_loop(run)

    def _record(self, report: Report, error: BaseException | None, is_last: bool) -> tuple[str, Execution | None]:
        """Record how an attempt ended; return its job's status and the next execution."""
        if error is not None and _ends_test(error):
            report = Report("interrupted", report.execution, ended=report.ended)
        exchange = self._records.exchange([report], [] if is_last else [token_hex(16)], self._queues)
        log_outcome(report, exchange.answers[0], error, False)
        self._queues.rotate(exchange.executions)
        status = {"interrupted": "queued", "parked": "queued"}.get(exchange.answers[0], exchange.answers[0])
        return status, exchange.executions[0] if exchange.executions else None


def _call_outside_loop(function: Callable[[], T]) -> T:
    """Return what `function` does: here, or in a thread of its own where an event loop runs here (async tests)."""
    if asyncio._get_running_loop() is None:  # as asyncio.run asks; what is called while an error is handled shows it
        return function()
    with ThreadPoolExecutor(1, "errand-jobs") as threads:
        return threads.submit(function).result()


def _ends_test(error: BaseException) -> bool:
    """Return whether an error is the test's own: Ctrl-C, the debugger's end, pytest.fail() in what stands for a part.

    What a job itself may raise that is no Exception a worker records as its failure.
    """
    return not isinstance(error, Exception | SystemExit | asyncio.CancelledError | GeneratorExit | JobStopped)
