"""A runner in this process, over a real server: it runs what is queued, and ends."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from redis import Redis
from rq import Queue
from rq.job import Job as RQJob

from errand import Job
from errand.worker.allowed_functions import AllowedJob
from errand.worker.attempt import perform
from errand.worker.processes.process_handles import Heartbeat
from errand.worker.records import Records
from errand.worker.repeats import Repeats
from errand.worker.runner.exchanger import Exchanger
from errand.worker.runner.runner import Runner
from errand.worker.runner.work_notices import Notices
from errand.worker.runner_plan import Plan
from errand.worker.served import ServedQueues
from errand.worker.shared.surroundings import Surroundings
from tests.worker.scripts import build_records


class NoRepeats(Repeats):
    """No job repeats."""

    def __init__(self) -> None:
        pass

    def settle(self, *_: Any) -> bool:
        return False


def build_class(types: list[Job[..., Any]]) -> type[AllowedJob]:
    """Return RQ's job limited to these types."""
    return type("ListedJob", (AllowedJob,), {"functions": {one.path: one.perform for one in types}})


def enqueue(queue: Queue, job: Job[..., Any], timeout_seconds: int = 60, **payload: Any) -> RQJob:
    """Enqueue a job as RQ does."""
    return queue.enqueue_call(job.path, kwargs=payload, timeout=timeout_seconds, description=job.type)


def drain(
    redis: Redis,
    types: list[Job[..., Any]],
    surroundings: Surroundings | None = None,
    threads: int = 4,
    orders: Callable[[Any], None] = lambda orders: None,
    **plan: Any,
) -> None:
    """Run what is queued; `orders` is given the supervisor's end of the runner's pipe first."""
    ours, theirs = Pipe()
    built = Plan("p", threads, ServedQueues(["default"], False), (), **{"burst": True} | plan)
    orders(ours)
    with keeping_handlers():
        build_runner(built, theirs, build_records(redis), NoRepeats(), build_class(types), surroundings).run()


def build_runner(
    plan: Plan,
    orders: Connection,
    records: Records,
    repeats: Repeats,
    job_class: type[AllowedJob],
    surroundings: Surroundings | None = None,
) -> Runner:
    """Return a runner whose jobs use the client of `records`."""
    run = partial(perform, job_class=job_class, connection=records.redis)
    exchanger = Exchanger(records, repeats, plan.queues, plan.prefix)
    notices = Notices(records.redis)
    return Runner(plan, (orders, Heartbeat()), exchanger, notices, run, surroundings or Surroundings())


@contextmanager
def keeping_handlers() -> Iterator[None]:
    """Put the handlers of signals back."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    handlers = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
