"""What a runner's executions report, from their threads until Redis has answered."""

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context

from errand.worker.execution import Execution
from errand.worker.job_log import LogOutcome
from errand.worker.report import Report
from errand.worker.runner.threads import RunningExecution

_NO_ERROR = None, Context()


class Reports:
    """Gathers reports, which wake the runner; `unsent` are those that its next exchange records.

    `log` gets each with Redis' answer and the error behind it, in the context in which the job failed.
    """

    def __init__(self, wake: Callable[[], None], log: LogOutcome) -> None:
        self.unsent: list[Report] = []
        self._wake = wake
        self._log = log
        self._ends: deque[tuple[RunningExecution, Report, BaseException | None]] = deque()
        self._gathered: deque[Report] = deque()
        self._errors: dict[str, tuple[BaseException | None, Context]] = {}

    @property
    def has_new(self) -> bool:
        """Whether some came since they were last collected."""
        return bool(self._ends or self._gathered)

    @property
    def is_empty(self) -> bool:
        """Whether all have been answered."""
        return not (self._ends or self._gathered or self.unsent)

    def add_progress(self, execution: Execution, progress: str) -> None:
        """Take how far a job is, from its thread."""
        self._gathered.append(Report("progress", execution, progress))
        self._wake()

    def add_end(self, running: RunningExecution, report: Report, error: BaseException | None) -> None:
        """Take how an execution ended, from its thread."""
        self._ends.append((running, report, error))
        self._wake()

    def collect(self, end: Callable[[RunningExecution], None], is_draining: bool) -> bool:
        """Make what has come `unsent`; call `end` with each execution that has ended, and return whether there was one.

        What fails while the process is draining is interrupted: what a stop does to a job is not its failure.
        """
        has_ended = False
        while self._ends:
            has_ended = True
            running, report, error = self._ends.popleft()
            end(running)
            if is_draining and report.kind == "failed" and not running.interrupted:
                report = report._replace(kind="interrupted")
            if error is not None:
                self._errors[report.execution.member] = error, running.context
            self._gathered.append(report)
        while self._gathered:
            self.unsent.append(self._gathered.popleft())
        return has_ended

    def take(self) -> list[Report]:
        """Return those that Redis has just answered; they are sent no more."""
        sent, self.unsent = self.unsent, []
        return sent

    def log_answers(self, reports: Sequence[Report], answers: Sequence[str], is_resent: bool) -> None:
        """Log what became of reports; `is_resent` where they had been sent before, and may have been recorded then."""
        for report, answer in zip(reports, answers, strict=True):
            is_end = report.kind != "progress"  # one that comes with its execution's end must not take its error
            error, context = self._errors.pop(report.execution.member, _NO_ERROR) if is_end else _NO_ERROR
            context.copy().run(self._log, report, answer, error, is_resent)
