"""Threads that run executions, and stopping one of them."""

import threading
import time
from collections.abc import Callable

import pytest

from errand.worker.attempt import JobStopped, build_timeout
from errand.worker.execution import Execution
from errand.worker.report import Report
from errand.worker.runner.threads import RunningExecution, Threads
from tests.support.waiting import wait_until

End = tuple[RunningExecution, Report, BaseException | None]


def build_execution(number: int = 0) -> Execution:
    return Execution(f"job{number}", "e", "default", b"", 60, "", "", "x", 0, "", 0.0)


def build_threads(work: Callable[[Execution], None]) -> tuple[Threads, list[End]]:
    ends: list[End] = []

    def run(running: RunningExecution) -> tuple[Report, BaseException | None]:
        work(running.execution)
        return Report("finished", running.execution), None

    return Threads(run, lambda running, report, error: ends.append((running, report, error))), ends


def spin(execution: Execution) -> None:
    while True:
        time.sleep(0.001)


def test_an_interrupted_execution_ends_with_the_error() -> None:
    threads, ends = build_threads(spin)
    running = threads.start(build_execution())
    wait_until(lambda: running._thread)
    running.interrupt(JobStopped)
    ((_, report, error),) = wait_until(lambda: ends)
    assert (report.kind, type(error)) == ("stopped", JobStopped)


def test_a_time_out_names_its_seconds() -> None:
    threads, ends = build_threads(spin)
    running = threads.start(build_execution())
    wait_until(lambda: running._thread)
    running.interrupt(build_timeout(2))
    ((_, report, error),) = wait_until(lambda: ends)
    assert (report.kind, str(error)) == ("failed", "Task exceeded maximum timeout value (2 seconds)")
    assert '"JobTimeoutException"' in report.error


def test_an_execution_that_has_ended_is_not_interrupted_nor_the_next_one_in_its_thread() -> None:
    threads, ends = build_threads(lambda execution: None)
    first = threads.start(build_execution(1))
    wait_until(lambda: len(ends) == 1)
    threads.take_back(first)
    first.interrupt(JobStopped)
    threads.start(build_execution(2))
    wait_until(lambda: len(ends) == 2)
    assert [error for _, _, error in ends] == [None, None]


@pytest.mark.thorough
def test_interruptions_at_any_moment_hit_their_own_execution_alone() -> None:
    threads, ends = build_threads(lambda execution: time.sleep(0.0005))
    for number in range(300):
        running = threads.start(build_execution(number))
        time.sleep(0.0005)
        running.interrupt(JobStopped)
        wait_until(lambda number=number: len(ends) == number + 1)
        threads.take_back(running)
    assert [running.execution.job_id for running, _, _ in ends] == [f"job{number}" for number in range(300)]
    assert all((error is not None) <= running.interrupted for running, _, error in ends)
    assert {report.kind for _, report, _ in ends} <= {"finished", "stopped"}


def test_a_thread_is_used_again() -> None:
    used = []
    threads, ends = build_threads(lambda execution: used.append(threading.get_ident()))
    for number in range(5):
        threads.take_back(threads.start(build_execution(number)))
        wait_until(lambda number=number: len(ends) == number + 1)
    assert len(set(used)) == 1


def test_an_execution_is_interrupted_once_so_that_it_can_clean_up() -> None:
    cleaned = []

    def work(execution: Execution) -> None:
        try:
            spin(execution)
        finally:
            for _ in range(50):
                time.sleep(0.001)
            cleaned.append(execution.job_id)

    threads, ends = build_threads(work)
    running = threads.start(build_execution())
    wait_until(lambda: running._thread)
    while not ends:
        running.interrupt(JobStopped)
        time.sleep(0.005)
    assert cleaned == ["job0"]


def test_the_thread_of_an_interrupted_execution_ends() -> None:
    threads, ends = build_threads(spin)
    running = threads.start(build_execution())
    wait_until(lambda: running._thread)
    running.interrupt(JobStopped)
    wait_until(lambda: running._thread not in {thread.ident for thread in threading.enumerate()})
    assert len(ends) == 1
