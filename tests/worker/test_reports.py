"""What a runner's executions report, until Redis has answered."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from errand.worker.attempt import describe_failure
from errand.worker.execution import Execution
from errand.worker.report import Report
from errand.worker.runner.pending_reports import Reports
from errand.worker.runner.threads import RunningExecution

Logged = tuple[str, str, BaseException | None]
ERROR = ValueError("no")


@pytest.fixture
def logged() -> list[Logged]:
    return []


@pytest.fixture
def reports(logged: list[Logged]) -> Reports:
    def log(report: Report, answer: str, error: BaseException | None, resent: bool) -> None:
        logged.append((report.kind, answer, error))

    return Reports(lambda: None, log)


def add_failure(reports: Reports, execution: Execution) -> None:
    reports.add_end(RunningExecution(execution), describe_failure(execution, ERROR), ERROR)


def build_execution() -> Execution:
    return Execution("job", "e", "default", b"", 60, "", "", "x", 0, "", 0.0)


def test_an_error_is_logged_with_its_end_where_progress_is_answered_with_it(
    reports: Reports, logged: list[Logged]
) -> None:
    execution = build_execution()
    reports.add_progress(execution, "{}")
    add_failure(reports, execution)
    reports.collect(lambda running: None, is_draining=False)
    reports.log_answers(reports.take(), ["progress", "failed"], is_resent=False)
    assert logged == [("progress", "progress", None), ("failed", "failed", ERROR)]


class LateEnds(deque[Any]):
    """Gets an end from a thread just after it was found empty."""

    def __init__(self, ends: Iterator[Any]) -> None:
        super().__init__()
        self._late = ends

    def __bool__(self) -> bool:
        was_empty = len(self) == 0
        self.extend(self._late)
        return not was_empty


def test_an_end_that_comes_while_ends_are_collected_counts_where_it_is_collected(reports: Reports) -> None:
    execution = build_execution()
    reports._ends = LateEnds(iter([(RunningExecution(execution), Report("finished", execution), None)]))
    ended: list[RunningExecution] = []
    assert [reports.collect(ended.append, is_draining=False) for _ in range(2)] == [False, True]
    assert len(ended) == len(reports.unsent) == 1
