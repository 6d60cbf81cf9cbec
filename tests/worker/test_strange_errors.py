"""Errors whose own methods are faulty: a job's end is recorded all the same, with the error that ended it."""

import json
import threading
import time
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Retry
from rq.timeouts import JobTimeoutException

from errand.contract.errors import PermanentError
from errand.worker.allowed_functions import AllowedJob
from errand.worker.attempt import LiveAttempt, build_timeout, describe_failure, perform
from errand.worker.execution import Execution
from errand.worker.job_log import log_outcome
from errand.worker.records import Records
from errand.worker.trace import format_trace
from tests.worker import strange_errors
from tests.worker.scripts import build_records, read, take
from tests.worker.strange_errors import ERRORS


def build_execution() -> Execution:
    return Execution("job", "e", "default", b"", 60, "", "", "x", 0, "", 0.0)


@pytest.mark.parametrize("which", ERRORS)
def test_it_is_described_by_its_type_and_stays_permanent(which: str) -> None:
    error = ERRORS[which]()
    report = describe_failure(build_execution(), error)
    described = json.loads(report.error)
    assert report.kind == "permanent"
    assert described["type"] == type.__dict__["__name__"].__get__(type(error))
    assert isinstance(described["message"], str)


@pytest.mark.usefixtures("_with_log")
@pytest.mark.parametrize("which", ERRORS)
def test_the_log_has_its_type_and_where_it_was_raised(which: str, caplog: pytest.LogCaptureFixture) -> None:
    error = ERRORS[which]()

    def run_here() -> None:
        raise error

    class Job(AllowedJob):
        def perform(self) -> Any:
            run_here()

    report, raised = perform(build_execution(), LiveAttempt(lambda text: None, time.time), Job, Redis())
    log_outcome(report, "failed", raised, False)
    assert type.__dict__["__name__"].__get__(type(error)) in caplog.text
    assert "in run_here" in caplog.text


@pytest.mark.parametrize("name", ["NothingError", "RaisesError", "CauseError", "NotesError"])
def test_it_is_recorded_once_and_spends_no_try(redis: Redis, queue: Queue, records: Records, name: str) -> None:
    def fail() -> None:
        raise getattr(strange_errors, name)()

    class Job(AllowedJob):
        functions = {"fail": fail}

    job = queue.enqueue_call("fail", retry=Retry(3))
    report, _ = perform(take(records)[0], LiveAttempt(lambda text: None, time.time), Job, redis)
    assert build_records(redis).exchange([report]).answers == ["failed"]
    assert read(redis, job.id, "status", "retries_left") == [b"failed", b"0"]
    assert json.loads(read(redis, job.id, "errand_error")[0] or b"")["type"] == name


def test_a_text_that_can_not_be_had_says_why() -> None:
    described = json.loads(describe_failure(build_execution(), strange_errors.NothingError()).error)
    assert described["message"] == "(it has no text: its __str__() raised TypeError)"


def test_one_permanent_error_in_a_group_ends_the_retries_and_an_ordinary_group_does_not() -> None:
    mixed = ExceptionGroup("two tasks", [ValueError("once more"), PermanentError("no use")])
    assert describe_failure(build_execution(), mixed).kind == "permanent"
    assert describe_failure(build_execution(), ExceptionGroup("two tasks", [ValueError("once more")])).kind == "failed"


def test_a_cause_that_was_permanent_does_not_make_what_was_raised_from_it_permanent() -> None:
    error = ValueError("once more")
    error.__cause__ = PermanentError("no use")
    assert describe_failure(build_execution(), error).kind == "failed"


def test_the_trace_of_a_long_chain_ends_with_the_error_itself() -> None:
    error = ValueError("first")
    for _ in range(3000):
        later = ValueError("later")
        later.__cause__, error = error, later
    assert format_trace(error).endswith("ValueError: later\n")


def test_a_time_out_that_comes_while_a_lock_is_let_go_is_a_time_out() -> None:
    class Job(AllowedJob):
        def perform(self) -> Any:
            try:
                raise build_timeout(1)
            finally:
                threading.Lock().release()

    report, error = perform(build_execution(), LiveAttempt(lambda text: None, time.time), Job, Redis())
    assert json.loads(report.error)["type"] == "JobTimeoutException"
    assert isinstance(error, JobTimeoutException)
