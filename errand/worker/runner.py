"""The runner: a process whose threads run jobs, and whose one loop takes them and records their ends, in batches."""

import logging
import os
import select
import time
from asyncio import CancelledError
from collections import deque
from contextvars import Context
from functools import partial
from multiprocessing.connection import Connection
from secrets import token_hex

from redis import Redis, RedisError

from errand.redis import keys
from errand.redis.connection import WORKER, PoolConnector
from errand.redis.failover import RoleWatch, renew
from errand.worker.allowed import AllowedJob
from errand.worker.attempt import JobStopped, LiveAttempt, build_timeout, describe_failure, perform
from errand.worker.channel import Channel
from errand.worker.execution import Execution, Report
from errand.worker.plan import Plan
from errand.worker.processes.fork import handle_stops
from errand.worker.processes.handles import Heartbeat
from errand.worker.processes.memory import MemoryWatch
from errand.worker.processes.outage import Pause
from errand.worker.records import Exchange, Records
from errand.worker.repeats import Repeats
from errand.worker.shared.surroundings import Surroundings
from errand.worker.tell import Tell, tell_aside, tell_end, tell_expired
from errand.worker.threads import Running, Threads

LOOK_SECONDS = 0.25
LOOK_AFTER_ORDERS_SECONDS = 0.02
CLOCK_SECONDS = 0.1
RATE_SECONDS = 0.005  # a rate makes good what comes 50 ms late
logger = logging.getLogger("errand.worker")


class Runner:
    """Runs until told to end, or until what its plan says has come."""

    def __init__(
        self,
        plan: Plan,
        orders: Connection,
        heartbeat: Heartbeat,
        records: Records,
        connection: Redis,
        job_class: type[AllowedJob],
        repeats: Repeats,
        surroundings: Surroundings,
        tell: Tell = tell_end,
    ) -> None:
        self._tell, self._plan = tell, plan
        self._orders, self._records = orders, records
        self._connection, self._job_class = connection, job_class
        self._repeats, self._heartbeat = repeats, heartbeat
        self._memory = MemoryWatch(plan.most_mb)
        self._connector = PoolConnector(records.redis)
        self._channel = Channel(self._connector.connect(WORKER), keys.WORK)
        self._role = RoleWatch(records.redis, self._channel.close, partial(renew, connection), repeats.reconnect)
        self._surroundings = surroundings
        self._threads = Threads(lambda execution: surroundings.context.run(self._perform, execution), self._take_end)
        self._running: dict[str, tuple[Running, float]] = {}
        self._alone = set(plan.busy)
        self._outbox: deque[Report] = deque()
        self._ends: deque[tuple[Running, Report, BaseException | None]] = deque()
        self._reports: list[Report] = []
        self._errors: dict[str, tuple[BaseException | None, Context]] = {}
        self._no_error = None, Context()
        self._execution_ids: list[str] = []
        self._again = self._resent = self._dry = self._draining = False
        self._kept_at = self._clock_at = self._looked_at = 0.0
        self._pause = Pause()
        self._abandoned: set[str] = set()
        self._taken = 0
        self._rated_at: float | None = None
        self._idle_since = time.monotonic()
        self._wake_out, self._wake_in = os.pipe()
        self._woken = self._is_called = False

    def run(self) -> None:
        """Work; return when nothing is left to do."""
        # A handler, for what is ignored here would be ignored by the processes that jobs start. A platform that stops
        # us signals every process, those too, and what they make fail is no failure.
        handle_stops(self._drain)
        self._surroundings.open(self._wake)
        while not self._is_over():
            self._heartbeat.beat()
            self._wait()
            self._look_at_clock()
            if self._memory.look():
                self._orders.send(("full", self._taken))
            self._exchange()
            if self._is_called:  # only now: what woke us is no news any more, and a job waits for its start
                self._channel.read()
                self._is_called = False
        self._orders.send(("done", not self._draining and not self._memory.is_over))
        self._surroundings.close()

    def close(self) -> None:
        """Close the pipes and the subscription and stop the loop, in a process that a job has forked."""
        self._connector.close_inherited()
        self._surroundings.loop.stop_inherited()
        self._orders.close()
        os.close(self._wake_out)
        os.close(self._wake_in)

    def _drain(self, *_: object) -> None:
        self._draining = True

    def _perform(self, execution: Execution) -> tuple[Report, BaseException | None]:
        def send_progress(text: str) -> None:
            self._outbox.append(Report("progress", execution, text))
            self._wake()

        running = self._threads.current

        def check_stop() -> None:
            if running.is_stopped:  # it was interrupted, and has swallowed that
                raise JobStopped

        run_coroutine = partial(self._surroundings.loop.run, take_cancel=running.take_cancel)
        attempt = LiveAttempt(send_progress, execution.now, check_stop, run_coroutine, execution.expires_at)
        report, error = perform(execution, self._job_class, self._connection, attempt)
        running.context = attempt.context or running.context
        if issubclass(type(error), CancelledError) and running.error is not None:
            error = running.error()
            report = describe_failure(execution, error)
        return report, error

    def _take_end(self, running: Running, report: Report, error: BaseException | None) -> None:
        self._ends.append((running, report, error))
        self._wake()

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            os.write(self._wake_in, b"x")

    def _wait(self) -> None:
        """Wait until there is something to do, and obey; while there is, look after orders only now and then.

        A look gives the interpreter to the jobs' threads; they shall have it while the next call to Redis is under way.
        """
        now = time.monotonic()
        busy = self._is_busy(now)
        if busy and now - self._looked_at < LOOK_AFTER_ORDERS_SECONDS:
            return
        self._looked_at = now
        seconds = 0.0 if busy else LOOK_SECONDS
        if self._rated_at is not None and self._count_free() > 0:
            seconds = max(0.0, min(seconds, self._rated_at - now))
        if now < self._pause.until:
            seconds = min(LOOK_SECONDS, self._pause.until - now)
        channel = self._channel.fileno()
        poll = select.poll()
        for descriptor in (self._wake_out, self._orders.fileno(), channel):
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
        if self._wake_out in ready:
            os.read(self._wake_out, 64)
            self._woken = False
        self._is_called = channel in ready
        if self._orders.fileno() in ready:
            self._obey()

    def _is_busy(self, now: float) -> bool:
        """Return whether there is something to tell Redis, or to take from it."""
        has_more = not self._dry and self._count_free() > 0
        return now >= self._pause.until and bool(self._ends or self._outbox or has_more)

    def _obey(self) -> None:
        while self._orders.poll():
            order, content = self._orders.recv()
            if order == "drain":
                self._drain()
            elif order == "retire":
                self._drain()
                self._abandoned.update(content)
            elif order == "free":
                self._alone.discard(content)
            elif order == "stop" and content in self._running:
                running = self._running[content][0]
                running.is_stopped = True
                running.interrupt(JobStopped)

    def _look_at_clock(self) -> None:
        now = time.monotonic()
        if now - self._clock_at < CLOCK_SECONDS:
            return
        self._clock_at = now
        for running, deadline in self._running.values():
            if now > deadline:
                running.interrupt(build_timeout(running.execution.timeout_seconds))
        if now - self._kept_at > 1:
            self._kept_at = now
            try:
                self._role.look()
            except RedisError as error:
                self._pause.prolong(error)
            self._channel.keep()

    def _exchange(self) -> None:
        """Tell Redis what there is to tell, and take a job for each free thread; after a fault the same again."""
        self._collect()
        if time.monotonic() < self._pause.until:
            return
        if (fault := self._surroundings.ship()) is not None:  # first: who sees an end finds all that was logged
            self._pause.prolong(fault)
            return
        if not self._again:
            # Half of them a call at most, so that one half runs while the other one's ends are told.
            free = min(self._count_free(), -(-self._plan.threads // 2))
            tails = token_hex(12 * free)
            self._execution_ids = [self._plan.prefix + tails[24 * i : 24 * i + 24] for i in range(free)]
        if not self._reports and not self._execution_ids:
            return
        again = 0 if not self._again else 2 if self._draining or self._memory.is_over else 1
        try:
            exchange = self._records.exchange(self._reports, self._execution_ids, self._plan.queues, again)
        except RedisError as error:
            self._again = bool(self._execution_ids)
            self._resent = True
            self._pause.prolong(error)
            return
        self._pause.end()
        reports, self._reports = self._reports, []
        resent, self._resent, self._again = self._resent, False, False
        self._dry = len(exchange.executions) < len(self._execution_ids) and exchange.wait_seconds != 0
        self._rated_at = (
            None if exchange.wait_seconds is None else time.monotonic() + max(exchange.wait_seconds, RATE_SECONDS)
        )
        self._plan.queues.rotate(exchange.executions)
        tell_aside(exchange.aside)
        tell_expired(exchange.expired)
        for execution in exchange.executions:
            self._start(execution)
        for report, answer in zip(reports, exchange.answers, strict=True):
            raised, context = self._errors.pop(report.execution.member, self._no_error)
            context.copy().run(self._tell, report, answer, raised, resent)
        self._settle_repeats(reports, exchange)
        if exchange.executions or reports:
            self._idle_since = time.monotonic()

    def _settle_repeats(self, reports: list[Report], exchange: Exchange) -> None:
        try:
            if self._repeats.settle(reports, exchange):
                self._dry = False
        except RedisError as error:
            self._reports = [
                report for report, answer in zip(reports, exchange.answers, strict=True) if answer == "repeats"
            ]
            self._pause.prolong(error)

    def _collect(self) -> None:
        while self._ends:
            running, report, error = self._ends.popleft()
            self._running.pop(running.execution.member, None)
            self._threads.take_back(running)
            if self._draining and report.kind == "failed" and not running.interrupted:
                report = report._replace(kind="interrupted")  # what a stop does to a job is not its failure
            if error is not None:
                self._errors[report.execution.member] = error, running.context
            self._outbox.append(report)
            if not self._ends:
                self._surroundings.look(self._running)
        while self._outbox:
            self._reports.append(self._outbox.popleft())

    def _count_free(self) -> int:
        if self._draining or self._memory.is_over or not self._surroundings.is_open:
            return 0
        free = max(0, self._plan.threads - len(self._running) - len(self._alone))
        return free if self._plan.most_jobs is None else min(free, self._plan.most_jobs - self._taken)

    def _start(self, execution: Execution) -> None:
        self._taken += 1
        if execution.losses or self._is_isolated(execution):
            self._alone.add(execution.member)
            self._orders.send(("alone", execution))
        else:
            self._running[execution.member] = (
                self._threads.start(execution),
                time.monotonic() + execution.timeout_seconds,
            )

    def _is_isolated(self, execution: Execution) -> bool:
        return bool(self._plan.isolated) and execution.data.startswith(self._plan.isolated)

    def _is_over(self) -> bool:
        plan = self._plan
        if self._ends or self._outbox or self._reports or self._again or self._running.keys() - self._abandoned:
            return False
        if self._draining or self._memory.is_over:
            return True
        if self._alone or not self._surroundings.is_open:
            return False
        idle_seconds = time.monotonic() - self._idle_since
        return (
            (plan.burst and self._dry and self._rated_at is None)
            or (plan.most_jobs is not None and self._taken >= plan.most_jobs)
            or (plan.most_idle_seconds is not None and idle_seconds > plan.most_idle_seconds)
        )
