"""The supervisor's loop, in this process; the runners and children that it forks do as each test says."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError
from rq import Queue, Retry

from errand.worker.channel import Channel
from errand.worker.execution import Execution
from errand.worker.processes.fork import handle_stops
from errand.worker.processes.process_handles import ChildProcess, Heartbeat
from errand.worker.processes.processes import Mains, WorkerProcesses
from errand.worker.processes.signals import Signals
from errand.worker.processes.supervisor import BEAT_SECONDS, Supervisor
from errand.worker.records import Records
from errand.worker.runner_plan import Plan
from errand.worker.served import ServedQueues
from errand.worker.settings import WorkerSettings
from tests.support.waiting import wait_until
from tests.worker.scripts import ask, build_records, end_leases, enqueue, read, take

Main = Callable[[Plan, Connection, Heartbeat], None]
QUEUES = ServedQueues(["default"], in_turn=False)


def build_shaky_records(redis: Redis) -> Records:
    """Return records whose first hand-back can't reach Redis."""
    records = build_records(redis)
    release, faults = records.leases.release, iter([ConnectionError("away")])

    def fail_first(*args: Any) -> list[tuple[str, str]]:
        if fault := next(faults, None):
            raise fault
        return release(*args)

    records.leases.release = fail_first  # type: ignore[method-assign, assignment]
    return records


class CountedChores:
    """Counts what is asked of it; `chore` is done each time, and says whether there is more to do at once."""

    def __init__(self, chore: Callable[[], object] = lambda: None) -> None:
        self.registered = self.rounds = 0
        self._chore = chore

    def register_again(self) -> None:
        self.registered += 1

    def reconnect(self) -> None:
        pass

    def run_chores(self) -> bool:
        self.rounds += 1
        return bool(self._chore())


def build(
    redis: Redis,
    signals: Signals,
    main: Main,
    run_child: Callable[[Execution], None] = lambda execution: None,
    chores: CountedChores | None = None,
    records: Records | None = None,
) -> Supervisor:
    settings = WorkerSettings(WORKER_LEASE_SECONDS=2, WORKER_GRACE_SECONDS=0.5)
    commands = Channel(redis, "rq:pubsub:one")
    plan = Plan("", 2, QUEUES, ())
    records = records or build_records(redis)
    processes = WorkerProcesses(plan, Mains(main, run_child), records, settings.grace_seconds)
    return Supervisor(settings, processes, records, chores or CountedChores(), commands, signals)


def take_one(redis: Redis, plan: Plan) -> Execution:
    (execution,) = ask(build_records(redis), [plan.prefix + "1"]).executions
    return execution


def test_a_hand_back_that_fails_is_made_up_for(redis: Redis, queue: Queue) -> None:
    (id,) = enqueue(queue)

    def main(plan: Plan, orders: Connection, heartbeat: Heartbeat) -> None:
        if redis.incr("runners") == 1:
            take_one(redis, plan)
            os._exit(1)
        wait_until(lambda: redis.llen("rq:queue:default"), 5)
        orders.send(("done", True))

    build_records(redis)
    with Signals() as signals:
        build(redis, signals, main, records=build_shaky_records(redis)).run()
    assert read(redis, id, "status", "errand_losses", "errand_interruptions") == [b"queued", b"1", None]


def test_a_runner_hears_which_job_alone_has_ended(redis: Redis, queue: Queue) -> None:
    enqueue(queue)

    def main(plan: Plan, orders: Connection, heartbeat: Heartbeat) -> None:
        execution = take_one(redis, plan)
        orders.send(("alone", execution))
        if orders.poll(5) and orders.recv() == ("free", execution.member):
            redis.set("heard", 1)
        orders.send(("done", True))

    with Signals() as signals:
        build(redis, signals, main).run()
    assert redis.exists("heard")


def test_what_a_runner_asked_for_before_it_died_runs_and_is_no_loss(redis: Redis, queue: Queue) -> None:
    (id,) = enqueue(queue)

    def main(plan: Plan, orders: Connection, heartbeat: Heartbeat) -> None:
        orders.send(("alone", take_one(redis, plan)))
        os._exit(1)

    with Signals() as signals:
        supervisor = build(redis, signals, main, lambda execution: time.sleep(30))
        supervisor._processes.start_runner()
        os.waitid(os.P_PID, supervisor._processes.runners[0].pid, os.WEXITED | os.WNOWAIT)
        supervisor._processes.reap()
        supervisor._processes.settle()
        (child,) = supervisor._processes.children
        assert read(redis, id, "status", "errand_losses") == [b"started", None]
        child.kill("interrupted")
        os.waitpid(child.pid, 0)


def test_others_jobs_are_judged_after_a_whole_lease(redis: Redis, queue: Queue) -> None:
    (id,) = enqueue(queue)
    take(build_records(redis, "dead"))
    end_leases(redis)

    def main(plan: Plan, orders: Connection, heartbeat: Heartbeat) -> None:
        time.sleep(1.2)
        redis.set("early", redis.hget(f"rq:job:{id}", "status"))
        wait_until(lambda: redis.hget(f"rq:job:{id}", "status") == b"queued", 5)
        orders.send(("done", True))

    with Signals() as signals:
        build(redis, signals, main).run()
    assert redis.get("early") == b"started"
    assert read(redis, id, "status", "errand_losses") == [b"queued", b"1"]


def test_runners_that_die_young_are_started_ever_more_slowly(redis: Redis) -> None:
    begun_at = time.monotonic()

    def main(plan: Plan, orders: Connection, heartbeat: Heartbeat) -> None:
        redis.incr("starts")
        os._exit(1)

    def stop_after_a_while() -> None:
        if time.monotonic() > begun_at + 1.4:
            os.kill(os.getpid(), signal.SIGTERM)

    with Signals() as signals:
        build(redis, signals, main, chores=CountedChores(stop_after_a_while)).run()
    assert int(redis.get("starts") or 0) == 2


def test_a_worker_that_stops_does_no_chores_but_stays_registered(redis: Redis) -> None:
    chores = CountedChores()
    with Signals() as signals:
        supervisor = build(redis, signals, lambda *_: None, chores=chores)
        redis.delete("rq:worker:one")
        os.kill(os.getpid(), signal.SIGTERM)
        supervisor.run()
    assert (chores.registered, chores.rounds) == (1, 0)


def test_chores_that_have_more_to_do_go_on_at_once_and_leases_are_renewed_between(redis: Redis) -> None:
    done_at: list[float] = []

    def count_renewal() -> tuple[bool, dict[str, float]]:
        redis.incr("renewed")
        return renew()

    def work() -> bool:
        done_at.append(time.monotonic())
        if len(done_at) == 20:
            os.kill(os.getpid(), signal.SIGTERM)
        return len(done_at) < 20

    records = build_records(redis)
    renew = records.leases.renew
    records.leases.renew = count_renewal  # type: ignore[method-assign]
    with Signals() as signals:
        build(redis, signals, lambda *_: time.sleep(30), chores=CountedChores(work), records=records).run()
    assert len(done_at) == 20
    assert int(redis.get("renewed") or 0) >= 20
    assert done_at[-1] - done_at[0] < 19 * BEAT_SECONDS


def test_a_time_out_that_is_not_obeyed_is_recorded_with_a_retry_after_its_runners_end(
    redis: Redis, queue: Queue
) -> None:
    (id,) = enqueue(queue, timeout=1, retry=Retry(3))
    waits: list[float] = []

    def main(plan: Plan, orders: Connection, heartbeat: Heartbeat) -> None:
        if redis.incr("runners") == 1:
            execution = take_one(redis, plan)
            while True:
                redis.rpush("orders", repr(orders.recv() == ("retire", [execution.member])))
        time.sleep(1)
        orders.send(("done", True))

    def look() -> None:
        due = redis.zscore("rq:scheduled:default", id)
        if due:
            waits.append(due - time.time())

    with Signals() as signals:
        build(redis, signals, main, chores=CountedChores(look)).run()
    assert redis.lrange("orders", 0, -1) == [b"True"]
    assert waits[0] > 1.9
    counts = read(redis, id, "status", "retries_left", "errand_losses", "errand_interruptions")
    assert counts == [b"scheduled", b"2", None, None]


def test_a_killed_childs_first_reason_counts(redis: Redis, queue: Queue) -> None:
    enqueue(queue)
    (execution,) = take(build_records(redis))
    child = ChildProcess(execution, lambda execution: time.sleep(30), 5.0)
    child.kill("timeout")
    child.kill("interrupted")
    os.waitpid(child.pid, 0)
    assert child.why == "timeout"


def test_a_child_that_starts_while_the_worker_stops_is_drained(redis: Redis, queue: Queue) -> None:
    enqueue(queue)

    def main(plan: Plan, orders: Connection, heartbeat: Heartbeat) -> None:
        assert orders.recv() == ("drain", None)
        execution = take_one(redis, plan)
        orders.send(("alone", execution))
        orders.recv()
        orders.send(("done", False))

    def run_child(execution: Execution) -> None:
        came: list[int] = []
        handle_stops(lambda number, _: came.append(number))
        with suppress(AssertionError):  # it has the grace, half a second, and no more
            wait_until(lambda: came, 0.4)
        redis.set("came", len(came))

    with Signals() as signals:
        supervisor = build(redis, signals, main, run_child)
        supervisor._processes.start_runner()
        os.kill(os.getpid(), signal.SIGTERM)
        supervisor.run()
    assert redis.get("came") == b"1"
