"""A job in a process of its own, here in this one."""

import logging
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError
from rq import Queue, Retry

from errand.worker.allowed_functions import AllowedJob
from errand.worker.attempt import perform
from errand.worker.child import Child
from errand.worker.execution import Execution
from errand.worker.records import Exchange, Records
from errand.worker.repeats import Repeats
from tests.worker.scripts import LIFETIMES, build_records, read, take
from tests.worker.strange_errors import ERRORS


def stop_myself() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    raise ValueError("no")


def stop_and_overrun() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)


class Job(AllowedJob):
    functions = {"quick": lambda: 1, "stop": stop_myself, "overrun": stop_and_overrun}


class NoRepeats(Repeats):
    def __init__(self) -> None:
        pass

    def settle(self, reports: Any, exchange: Exchange) -> bool:
        return False


class LossyRecords(Records):
    """Loses the first reply."""

    lost = False

    def exchange(self, *args: Any) -> Exchange:
        exchange = super().exchange(*args)
        if not self.lost:
            self.lost = True
            raise ConnectionError("the reply is lost")
        return exchange


def build_child(execution: Execution, records: Records, job_class: type[AllowedJob]) -> Child:
    run = partial(perform, job_class=job_class, connection=records.redis)
    return Child(execution, records, NoRepeats(), run)


@pytest.fixture(autouse=True)
def _restore(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RQ_JOB_ID", "")
    monkeypatch.setattr(logging.getLogger("errand.worker"), "propagate", True)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("function", "found"),
    [("stop", [b"queued", b"1", b"3"]), ("overrun", [b"scheduled", None, b"2"])],
    ids=["a failure is the stop's", "a time-out is the job's own"],
)
def test_what_comes_of_it_when_it_ends_badly_while_draining(
    redis: Redis, queue: Queue, function: str, found: list[bytes | None]
) -> None:
    job = queue.enqueue_call(function, timeout=1, retry=Retry(3, 60))
    records = build_records(redis)
    build_child(take(records)[0], records, Job).run()
    assert read(redis, job.id, "status", "errand_interruptions", "retries_left") == found


@pytest.mark.parametrize("which", ["text is None", "text raises", "class raises", "notes raise"])
def test_an_error_whose_own_methods_raise_ends_the_job_and_not_the_process(
    redis: Redis, queue: Queue, which: str
) -> None:
    def fail() -> None:
        raise ERRORS[which]()

    class Failing(AllowedJob):
        functions = {"fail": fail}

    job = queue.enqueue_call("fail", retry=Retry(3))
    records = build_records(redis)
    build_child(take(records)[0], records, Failing).run()
    assert read(redis, job.id, "status", "errand_losses") == [b"failed", None]


def test_a_lost_reply_to_its_end_is_no_dropped_end(
    redis: Redis, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    job = queue.enqueue_call("quick")
    records = LossyRecords(redis, "one", LIFETIMES)
    build_child(take(build_records(redis))[0], records, Job).run()
    assert records.lost
    assert redis.xlen(f"rq:results:{job.id}") == 1
    assert "dropped" not in caplog.text


def test_a_payload_that_is_not_compressed_is_read_as_rq_reads_it(redis: Redis, queue: Queue) -> None:
    job = queue.enqueue_call("quick")
    records = build_records(redis)
    execution = take(records)[0]._replace(data=b'["quick", null, [], {}]')
    build_child(execution, records, Job).run()
    assert job.get_status(refresh=True) == "finished"
