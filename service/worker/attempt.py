"""One attempt of a job, in a thread or in a process of its own: from a task to its last word."""

import time
from base64 import b64encode
from collections.abc import Callable

from redis import Redis
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException

from jobs import PermanentError
from jobs._record import describe_error
from service.worker.allowed import AllowedJob
from service.worker.task import Task, Word
from service.worker.trace import format_trace, pack_trace


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


def perform(
    task: Task,
    job_class: type[AllowedJob],
    connection: Redis,
    report: Callable[[str], None],
    check_stop: Callable[[], None] | None = None,
    take_cancel: Callable[[Callable[[], object]], None] | None = None,
) -> tuple[Word, BaseException | None]:
    """Run a task; return its last word, and the error if it ended with one. Raises nothing.

    `check_stop` is called before each report of progress; what it raises is raised in the job. `take_cancel` is given
    what cancels the job from another thread, where the job is a coroutine.
    """
    try:
        job = job_class.build(task, connection)
        job.report_progress, job.check_stop, job.take_cancel = report, check_stop, take_cancel
        result = job.perform()
        value = "" if result is None else b64encode(JSONSerializer.dumps(result)).decode()
        return Word("finished", task, value, ended=time.time()), None
    except BaseException as error:  # a job may raise anything, SystemExit too, and must not end what runs it
        return describe_failure(task, error), error


def describe_failure(task: Task, error: BaseException) -> Word:
    """Return the last word of a task that ended with `error`."""
    kind = "failed"
    if isinstance(error, PermanentError):
        kind = "permanent"
    elif isinstance(error, JobStopped):
        kind = "stopped"
    return Word(kind, task, pack_trace(format_trace(error)), describe_error(error), ended=time.time())


def describe_timeout(task: Task, delay_seconds: float = 0.0) -> Word:
    """Return the last word for a task that does not end by itself."""
    word = describe_failure(task, build_timeout(task.timeout_seconds)())
    return word._replace(delay_seconds=delay_seconds)
