"""The runner's loop, in this process and over a real server; a thread plays its supervisor."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError
from rq import Queue, Retry

from errand.worker.allowed_functions import AllowedJob
from errand.worker.records import Exchange, Records
from errand.worker.repeats import Repeats
from errand.worker.report import Report
from errand.worker.runner_plan import Plan
from errand.worker.served import ServedQueues
from errand.worker.shared.surroundings import Surroundings
from tests.support.waiting import wait_until
from tests.worker.draining import build_runner, keeping_handlers
from tests.worker.scripts import LIFETIMES, read

ALONE = "jobs.alone.run.perform"
QUICK = "jobs.quick.run.perform"
Supervise = Callable[[Connection], Any]


def spin() -> None:
    while True:
        time.sleep(0.01)


def fail() -> None:
    time.sleep(0.3)
    raise ValueError("no")


class Job(AllowedJob):
    functions = {QUICK: lambda: 1, ALONE: lambda: 2, "jobs.spin.run.perform": spin, "jobs.fail.run.perform": fail}


class LossyRecords(Records):
    """Loses the reply to some exchanges."""

    def __init__(self, redis: Redis, is_lost: Callable[[list[Report]], bool] = lambda reports: False) -> None:
        super().__init__(redis, "one", LIFETIMES)
        self._is_lost = is_lost

    def exchange(self, reports: Any, *args: Any) -> Exchange:
        exchange = super().exchange(reports, *args)
        if self._is_lost(reports):
            raise ConnectionError("the reply is lost")
        return exchange


class ScriptedRepeats(Repeats):
    """Stands for RQ's code: queues another job, and can't reach Redis at first."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.settled: list[str] = []

    def settle(self, reports: Any, exchange: Exchange) -> bool:
        for report, answer in zip(reports, exchange.answers, strict=True):
            if answer == "repeats":
                self.settled.append(report.execution.job_id)
                if len(self.settled) == 1:
                    raise ConnectionError("away")
                self._queue.connection.hdel(f"rq:job:{report.execution.job_id}", "repeats_left")
                self._queue.connection.zrem("errand:leases", report.execution.member)
                self._queue.enqueue_call(QUICK, job_id="next")
                return True
        return False


@pytest.fixture(autouse=True)
def _keep_handlers() -> Iterator[None]:
    with keeping_handlers():
        yield


def run(
    redis: Redis,
    supervise: Supervise = lambda orders: None,
    records: Records | None = None,
    repeats: Repeats | None = None,
    surroundings: Surroundings | None = None,
    **plan: Any,
) -> list[Any]:
    """Run a burst to its end; return what the runner said that `supervise` has not received."""
    ours, theirs = Pipe()
    errors: list[BaseException] = []

    def play() -> None:
        try:
            supervise(ours)
        except BaseException as error:
            errors.append(error)
            ours.send(("drain", None))

    records = records or LossyRecords(redis)
    queues = ServedQueues(["default"], in_turn=False)
    given: dict[str, Any] = {"prefix": "p", "threads": 2, "queues": queues, "isolated": (), "burst": True}
    built = Plan(**given | plan)
    supervisor = threading.Thread(target=play)
    supervisor.start()
    repeats = repeats or ScriptedRepeats(Queue(connection=redis))
    build_runner(built, theirs, records, repeats, Job, surroundings).run()
    supervisor.join()
    assert errors == []
    said = []
    while ours.poll():
        said.append(ours.recv())
    return said


def hear(orders: Connection) -> Any:
    assert orders.poll(5)
    return orders.recv()


def test_it_says_whether_its_plan_or_a_drain_ended_it(redis: Redis, queue: Queue) -> None:
    job = queue.enqueue_call(QUICK)
    assert run(redis) == [("done", True)]
    assert job.get_status(refresh=True) == "finished"
    assert run(redis, lambda orders: orders.send(("drain", None)), burst=False) == [("done", False)]


def test_jobs_that_run_alone_take_a_place_until_they_have_ended(redis: Redis, queue: Queue) -> None:
    ids = [queue.enqueue_call(ALONE).id for _ in range(3)]
    heard: list[Any] = []

    def supervise(orders: Connection) -> None:
        heard.extend(hear(orders) for _ in range(2))
        assert not orders.poll(0.8)  # no third one, and no end
        orders.send(("free", heard[0][1].member))
        heard.append(hear(orders))
        orders.send(("free", heard[1][1].member))
        assert not orders.poll(0.5)  # the queue is empty, and one still runs
        orders.send(("free", heard[2][1].member))

    assert run(redis, supervise, isolated=(f'["{ALONE}"'.encode(),)) == [("done", True)]
    assert [kind for kind, _ in heard] == ["alone"] * 3
    assert [execution.job_id for _, execution in heard] == ids


def test_what_other_processes_run_takes_a_place_too(redis: Redis, queue: Queue) -> None:
    job = queue.enqueue_call(QUICK)

    def supervise(orders: Connection) -> None:
        time.sleep(0.6)
        assert job.get_status(refresh=True) == "queued"
        orders.send(("free", "other:execution"))

    run(redis, supervise, threads=1, busy=("other:execution",))
    assert job.get_status(refresh=True) == "finished"


def test_a_job_lost_before_runs_alone(redis: Redis, queue: Queue) -> None:
    job = queue.enqueue_call(QUICK)
    redis.hset(job.key, "errand_losses", 1)

    def supervise(orders: Connection) -> None:
        kind, execution = hear(orders)
        assert (kind, execution.job_id, execution.losses) == ("alone", job.id, 1)
        orders.send(("free", execution.member))

    run(redis, supervise)


def test_max_jobs_is_the_number_taken(redis: Redis, queue: Queue) -> None:
    for _ in range(5):
        queue.enqueue_call(QUICK)
    run(redis, burst=False, most_jobs=3)
    assert redis.llen("rq:queue:default") == 2


@pytest.mark.parametrize(
    ("function", "timeout", "found"),
    [
        ("jobs.fail.run.perform", 60, [b"queued", b"1", b"3"]),
        ("jobs.spin.run.perform", 1, [b"scheduled", None, b"2"]),
    ],
    ids=["a failure is the stop's", "a time-out is the job's own"],
)
def test_what_comes_of_a_job_that_ends_badly_while_draining(
    redis: Redis, queue: Queue, function: str, timeout: int, found: list[bytes | None]
) -> None:
    job = queue.enqueue_call(function, timeout=timeout, retry=Retry(3, 60))

    def supervise(orders: Connection) -> None:
        wait_until(lambda: job.get_status(refresh=True) == "started")
        orders.send(("drain", None))

    assert run(redis, supervise) == [("done", False)]
    assert read(redis, job.id, "status", "errand_interruptions", "retries_left") == found


@pytest.mark.parametrize("kinds", [[], ["finished"]], ids=["of a take", "of an end"])
def test_a_lost_reply_costs_nothing_and_is_no_dropped_end(
    redis: Redis, queue: Queue, caplog: pytest.LogCaptureFixture, kinds: list[str]
) -> None:
    jobs = [queue.enqueue_call(QUICK) for _ in range(3)]
    lost: list[list[Report]] = []

    def is_lost(reports: list[Report]) -> bool:
        if not lost and [report.kind for report in reports][:1] == kinds:
            lost.append(reports)
            return True
        return False

    logging.getLogger("errand.worker").propagate = True
    run(redis, records=LossyRecords(redis, is_lost), threads=1)
    assert lost
    for job in jobs:
        assert redis.xlen(f"rq:results:{job.id}") == 1
        assert read(redis, job.id, "status", "errand_attempts") == [b"finished", b"1"]
    assert "dropped" not in caplog.text


def test_what_is_left_to_rq_is_tried_again_and_what_it_queues_is_taken(redis: Redis, queue: Queue) -> None:
    job = queue.enqueue_call(QUICK)
    redis.hset(job.key, "repeats_left", 1)
    repeats = ScriptedRepeats(queue)
    run(redis, repeats=repeats)
    assert repeats.settled == [job.id] * 2
    assert read(redis, "next", "status") == [b"finished"]
