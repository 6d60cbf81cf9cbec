"""A process for one job: isolated ones, and those whose process died under them."""

import logging
import math
import os
import signal
import time
from contextlib import suppress
from contextvars import Context

from redis import Redis, RedisError
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

from errand.worker.allowed import AllowedJob
from errand.worker.attempt import LiveAttempt, build_timeout, describe_failure, perform
from errand.worker.execution import Execution, Report
from errand.worker.processes.fork import handle_stops, owning
from errand.worker.records import Records
from errand.worker.repeats import Repeats
from errand.worker.shared.surroundings import LoneSurroundings
from errand.worker.tell import Tell, tell_end

RETRY_SECONDS = 0.5
HAND_BACK_SECONDS = 5.0
logger = logging.getLogger("errand.worker")


class Child:
    """Runs one task to its recorded end."""

    def __init__(
        self,
        execution: Execution,
        records: Records,
        connection: Redis,
        job_class: type[AllowedJob],
        repeats: Repeats,
        surroundings: LoneSurroundings | None = None,
        tell: Tell = tell_end,
    ) -> None:
        self._tell = tell
        self._execution = execution
        self._records = records
        self._connection = connection
        self._job_class = job_class
        self._repeats = repeats
        self._draining = False
        self._surroundings = surroundings or LoneSurroundings()
        run_coroutine = self._surroundings.loop.run
        self._attempt = LiveAttempt(self._report, execution.now, None, run_coroutine, execution.expires_at)

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
            return run(perform, self._execution, self._job_class, self._connection, self._attempt)
        try:
            with owning(_forget_alarm), UnixSignalDeathPenalty(max(1, math.ceil(seconds)), build_timeout(seconds)):
                return run(perform, self._execution, self._job_class, self._connection, self._attempt)
        except JobTimeoutException as error:  # it came just as the job had ended
            return describe_failure(self._execution, error), error

    def _hand_back(self) -> tuple[Report, None]:
        """Return the word of a job that can't begin here, after a while: it is taken again at once."""
        time.sleep(min(HAND_BACK_SECONDS, self._execution.timeout_seconds / 2))
        return Report("interrupted", self._execution, ended=self._execution.now()), None

    def _report(self, text: str) -> None:
        with suppress(RedisError):  # the work matters more
            self._records.exchange([Report("progress", self._execution, text)])

    def _record(self, report: Report, error: BaseException | None) -> None:
        resent = False
        while True:
            try:
                self._surroundings.ship()  # first: who sees the end finds all that was logged
                exchange = self._records.exchange([report])
                context = self._attempt.context or Context()
                context.run(self._tell, report, exchange.answers[0], error, resent)
                self._repeats.settle([report], exchange)
                return
            except RedisError:
                resent = True
                time.sleep(RETRY_SECONDS)


def _forget_alarm() -> None:
    """Take RQ's handler out of a process that the job has forked; a handler of the job's own stays."""
    if isinstance(getattr(signal.getsignal(signal.SIGALRM), "__self__", None), UnixSignalDeathPenalty):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
