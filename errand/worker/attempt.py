"""One attempt of a job, in a thread or in a process of its own: from its execution to the report of its end."""

import asyncio
import os
from base64 import b64encode
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from redis import Redis
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException

from errand.contract.attempt import NoAttempt, enter
from errand.contract.errors import (
    ExpiredError,
    InvalidPayloadError,
    PermanentError,
    ServiceDownError,
    UnfinishedError,
    describe_error,
    find_frame,
    holds,
    read_delay,
    write_json,
)
from errand.worker.allowed_functions import AllowedJob, UnknownTypeError
from errand.worker.execution import Execution
from errand.worker.report import Report
from errand.worker.trace import format_trace, pack_trace

if TYPE_CHECKING:
    from errand.worker.output.lines import AttemptLines

T = TypeVar("T")
LOCK_FAULTS = ("release unlocked lock", "cannot release un-acquired lock", "cannot notify on un-acquired lock")


class JobStopped(BaseException):
    """Raised inside a job that somebody stopped; not an Exception, so that ordinary handlers let it pass."""

    def __init__(self) -> None:
        super().__init__("it was stopped on request")


def build_timeout(seconds: float) -> type[JobTimeoutException]:
    """Return RQ's error for a time-out, as a class with its text: a thread can be given no more."""

    class TimedOut(JobTimeoutException):
        def __init__(self, *_: object) -> None:
            super().__init__(f"Task exceeded maximum timeout value ({seconds:g} seconds)")

    TimedOut.__name__ = TimedOut.__qualname__ = JobTimeoutException.__name__
    return TimedOut


def run_alone(coroutine: Coroutine[Any, Any, T], context: Context) -> T:
    """Return what `coroutine` does, on a loop of its own and in a copy of `context`."""
    return context.copy().run(asyncio.run, coroutine)


class LiveAttempt(NoAttempt):
    """An attempt whose worker writes everything, with the rest of what it records.

    `send_progress` takes progress as JSON, `now` returns the time. `check_stop` is called before each report; what it
    raises is raised in the job. `run_coroutine` runs what an async job does, in a context that it is given. `context`
    is the one in which the attempt failed, with what the job has set there for those who watch (Sentry's tags, say).
    `lines` are what it has logged and printed, from the first line on.
    """

    execution: Execution | None = None
    lines: "AttemptLines | None" = None

    def __init__(
        self,
        send_progress: Callable[[str], None],
        now: Callable[[], float],
        check_stop: Callable[[], None] | None = None,
        run_coroutine: Callable[..., Any] = run_alone,
        expires_at: float | None = None,
    ) -> None:
        self._pid = os.getpid()
        self._send_progress = send_progress
        self._now = now
        self._check_stop = check_stop
        self._run_coroutine = run_coroutine
        self._expires_at = expires_at
        self.context: Context | None = None

    def report(self, progress: dict[str, Any]) -> None:
        """Hand progress to the worker; a process that the job forked has no way to it."""
        if os.getpid() == self._pid:
            self._send_progress(write_json(progress))

    def now(self) -> float:
        """Return the time in seconds since 1970, by Redis' clock."""
        return self._now()

    def read_expiry(self) -> float | None:
        """Return when the job expires, as it was when the job was taken."""
        return self._expires_at

    def check_stop(self) -> None:
        """Raise what ends the job, once somebody has stopped it."""
        if self._check_stop is not None:
            self._check_stop()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what `coroutine` does, on the worker's loop."""
        self.context = copy_context()
        result: T = self._run_coroutine(coroutine, context=self.context)
        return result

    def keep_context(self) -> None:
        """Keep the context as the attempt leaves it: the caller's, or the one in which its coroutine ran."""
        self.context = self.context or copy_context()


Perform = Callable[[Execution, LiveAttempt], tuple[Report, BaseException | None]]


def perform(
    execution: Execution, attempt: LiveAttempt, job_class: type[AllowedJob], connection: Redis
) -> tuple[Report, BaseException | None]:
    """Run an execution as `attempt`; return the report of its end, and the error if there was one. Raises nothing."""
    try:
        job = job_class.build(execution, connection)
        attempt.execution = execution
        enter(attempt)
        result = job.perform()
        return Report("finished", execution, pack_result(result), ended=execution.now()), None
    except BaseException as error:  # a job may raise anything, SystemExit too, and must not end what runs it
        attempt.keep_context()
        cause = unmask(error)
        return describe_failure(execution, cause), cause


def pack_result(result: Any) -> str:
    """Return a result as RQ keeps it: JSON in base64, '' for None."""
    return "" if result is None else b64encode(JSONSerializer.dumps(result)).decode()


def describe_failure(execution: Execution, error: BaseException) -> Report:
    """Return the report of an execution that ended with `error`, whatever that error's own methods do."""
    trace, about = pack_trace(format_trace(error)), describe_error(error)
    return Report(_name_end(error), execution, trace, about, read_delay(error), execution.now(), find_frame(error))


def unmask(error: BaseException) -> BaseException:
    """Return the time-out or stop that an error hides: one that came while a lock was being released; else the error.

    An interruption may come between any two steps of Python, those of `threading` too (3.11: `Condition.__exit__`).
    """
    if type(error) is RuntimeError and error.args and error.args[0] in LOCK_FAULTS:
        cause = error.__context__
        if isinstance(cause, JobTimeoutException | JobStopped):
            return cause
    return error


def _name_end(error: BaseException) -> str:
    kind = type(error)  # isinstance() asks `__class__` as well, which may be a job's code
    if issubclass(kind, UnknownTypeError):
        return f"unknown:{error}"
    if issubclass(kind, InvalidPayloadError) and getattr(error, "is_stored", False):
        return "refused"
    if issubclass(kind, ExpiredError):
        return "expired"
    if issubclass(kind, UnfinishedError):
        return f"partial:{pack_result(getattr(error, 'result', None))}"
    if holds(error, PermanentError):
        return "permanent"
    if holds(error, ServiceDownError):
        return "down"
    return "stopped" if holds(error, JobStopped) else "failed"


def describe_timeout(execution: Execution, delay_seconds: float = 0.0) -> Report:
    """Return the report for an execution that does not end by itself."""
    report = describe_failure(execution, build_timeout(execution.timeout_seconds)())
    return report._replace(delay_seconds=delay_seconds)
