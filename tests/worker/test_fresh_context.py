"""What one job sets in its context, the next one in its thread does not have."""

import decimal
import threading
from contextvars import Context, ContextVar

import pytest
from redis import Redis
from rq import Queue

from errand import job
from errand.worker.shared.context import BaseContext
from errand.worker.shared.surroundings import Surroundings
from tests.worker.draining import drain, enqueue

report: ContextVar[str] = ContextVar("word", default="none")


@job()
def run(wanted: str) -> list[object]:
    """Return what is found, and the thread; then set it."""
    found = [report.get(), decimal.getcontext().prec, threading.get_ident()]
    report.set(wanted)
    decimal.getcontext().prec = 5
    return found


def test_the_next_job_in_a_thread_has_neither_its_variables_nor_its_precision(redis: Redis, queue: Queue) -> None:
    jobs = [enqueue(queue, run, wanted="first"), enqueue(queue, run, wanted="second")]
    drain(redis, [run], threads=1)
    (first, second) = (one.return_value(refresh=True) for one in jobs)
    assert first == second == ["none", 28, first[2]]


def test_each_has_what_was_set_before_the_runner_began(redis: Redis, queue: Queue) -> None:
    jobs = [enqueue(queue, run, wanted="first"), enqueue(queue, run, wanted="second")]

    def begin() -> Surroundings:
        report.set("at import")
        decimal.getcontext().prec = 40
        return Surroundings()

    drain(redis, [run], Context().run(begin), threads=1)
    for one in jobs:
        assert one.return_value(refresh=True)[:2] == ["at import", 40]


def test_what_a_copy_sets_does_not_reach_the_base() -> None:
    base = Context().run(BaseContext)
    base.context.run(report.set, "base")
    base.run(report.set, "copy")
    assert base.run(report.get) == base.context.run(report.get) == "base"


@pytest.mark.parametrize("prec", [28, 9])
def test_numbers_are_reckoned_as_before_the_start_whatever_a_job_changed(prec: int) -> None:
    def begin() -> BaseContext:
        decimal.getcontext().prec = prec
        return BaseContext()

    def change() -> int:
        found = decimal.getcontext().prec
        decimal.getcontext().prec = 2
        return found

    base = Context().run(begin)
    assert [base.run(change), base.run(change)] == [prec, prec]
