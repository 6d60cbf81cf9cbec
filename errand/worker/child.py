"""A process for one job: isolated ones, and those whose process died under them."""

import logging
import math
import os
import signal
import time
from contextlib import suppress
from contextvars import Context

from redis import RedisError
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

from errand.worker.attempt import LiveAttempt, Perform, build_timeout, describe_failure
from errand.worker.execution import Execution
from errand.worker.job_log import LogOutcome, log_outcome
from errand.worker.processes.fork import handle_stops, owning
from errand.worker.records import Records
from errand.worker.repeats import Repeats
from errand.worker.report import Report
from errand.worker.shared.surroundings import LoneSurroundings

RETRY_SECONDS = 0.5  # between two tries to record the end: a process of one job needs no shorter one
HAND_BACK_SECONDS = 5.0  # before a job goes back whose start hook failed here, mostly because a service is away
logger = logging.getLogger("errand.worker")


class Child:
    """Runs one execution to its recorded end, as `Runner` does many."""

    def __init__(
        self,
        execution: Execution,
        records: Records,
        repeats: Repeats,
        perform: Perform,
        surroundings: LoneSurroundings | None = None,
        log: LogOutcome = log_outcome,
    ) -> None:
        self._execution = execution
        self._records, self._repeats = records, repeats
        self._run, self._log = perform, log
        self._draining = False
        self._surroundings = surroundings or LoneSurroundings()
        run_coroutine = self._surroundings.loop.run
        self._attempt = LiveAttempt(self._send_progress, execution.now, None, run_coroutine, execution.times.expires_at)

    def run(self) -> None:
        """Run it and record the end, however long Redis is away; the supervisor sets the limit."""
        os.environ["RQ_JOB_ID"] = self._execution.job_id
        handle_stops(self._drain)
        report, error = self._perform() if self._surroundings.open() else self._hand_back()
        if self._draining and report.kind == "failed" and not issubclass(type(error), JobTimeoutException):
            report = Report("interrupted", self._execution, ended=report.ended)
        self._surroundings.mend()
        self._record(report, error)
        self._surroundings.close()

    def _drain(self, *_: object) -> None:
        self._draining = True

    def _perform(self) -> tuple[Report, BaseException | None]:
        seconds, run = self._execution.timeout_seconds, self._surroundings.context.run
        if math.isinf(seconds):
            return run(self._run, self._execution, self._attempt)
        try:
            with owning(_forget_alarm), UnixSignalDeathPenalty(max(1, math.ceil(seconds)), build_timeout(seconds)):
                return run(self._run, self._execution, self._attempt)
        except JobTimeoutException as error:  # it came just as the job had ended
            return describe_failure(self._execution, error), error

    def _hand_back(self) -> tuple[Report, None]:
        """Return the report of a job that can't begin here, after a while: it would be taken again at once."""
        time.sleep(min(HAND_BACK_SECONDS, self._execution.timeout_seconds / 2))
        return Report("interrupted", self._execution, ended=self._execution.now()), None

    def _send_progress(self, text: str) -> None:
        with suppress(RedisError):  # the work matters more
            self._records.exchange([Report("progress", self._execution, text)])

    def _record(self, report: Report, error: BaseException | None) -> None:
        resent = False
        while True:
            try:
                self._surroundings.ship()  # first: who sees the end finds all that was logged
                exchange = self._records.exchange([report])
                context = self._attempt.context or Context()
                context.run(self._log, report, exchange.answers[0], error, resent)
                self._repeats.settle([report], exchange)
                return
            except RedisError:
                resent = True
                time.sleep(RETRY_SECONDS)


def _forget_alarm() -> None:
    """Take RQ's handler out of a process that the job has forked; a handler of the job's own stays."""
    if isinstance(getattr(signal.getsignal(signal.SIGALRM), "__self__", None), UnixSignalDeathPenalty):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
