"""RQ's exception handlers (`rq worker --exception-handler`), called in the process that ran the job."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from redis import Redis
from rq.job import JobStatus

from errand.contract.errors import read_frames
from errand.worker.allowed_functions import AllowedJob
from errand.worker.job_log import AGAIN, describe_execution, has_failed, log_outcome
from errand.worker.logs import log_error
from errand.worker.report import Report

MOST_AT_ONCE = 4  # handlers mostly wait for a service, and take the interpreter from the jobs


class Handlers:
    """Logs how an attempt ended, once that is recorded, and calls the handlers for one that failed.

    Each handler gets what RQ 3.0.0 gives it (`call_exception_handlers`): job, type, error, traceback; each time that an
    attempt fails, with retries left or not. The first that returns something false, and not None, is the last. They
    run in threads of their own: a slow one holds up no job, and the process waits for them at its end.
    """

    def __init__(self, handlers: Sequence[Callable[..., Any]], job_class: type[AllowedJob], connection: Redis) -> None:
        self._handlers = tuple(handlers)
        self._job_class = job_class
        self._connection = connection
        self._threads: ThreadPoolExecutor | None = None

    def take(self, report: Report, answer: str, error: BaseException | None, resent: bool) -> None:
        """Take Redis' answer to a report, as `log_outcome`."""
        log_outcome(report, answer, error, resent)
        is_recorded = answer not in ("canceled", "deleted", "parked", "finished") and (answer != "late" or resent)
        if self._handlers and error is not None and has_failed(report) and is_recorded:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(MOST_AT_ONCE, "errand-handler")
            self._threads.submit(copy_context().run, self._call, report, answer, error)

    def _call(self, report: Report, answer: str, error: BaseException) -> None:
        job = self._read(report, answer)
        for handler in self._handlers:
            try:
                goes_on = handler(job, type(error), error, read_frames(error))
                if goes_on is not None and not goes_on:
                    return
            except BaseException as fault:  # the others are called all the same
                execution, text = report.execution, "%s %s: the exception handler %s raised"
                name = getattr(handler, "__qualname__", type(handler).__qualname__)
                about = execution.description, execution.job_id, name
                log_error(fault, text, *about, extra=describe_execution(execution))

    def _read(self, report: Report, answer: str) -> AllowedJob:
        """Return RQ's job as handlers see it: failed, and with the try that it now spends still counted."""
        job = self._job_class.build(report.execution, self._connection)
        with suppress(Exception):  # without Redis, or where its record is gone or damaged, they see what was taken
            job.refresh()  # type: ignore[no-untyped-call]
        if answer in AGAIN:
            job.retries_left = (job.retries_left or 0) + 1
        job._status = JobStatus.FAILED
        return job
