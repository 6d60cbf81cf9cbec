"""The runner's loop: it takes jobs, has threads run them and records their ends, several at a time."""

import select
import time
from asyncio import CancelledError
from functools import partial
from multiprocessing.connection import Connection

from redis import RedisError

from errand.worker.attempt import JobStopped, LiveAttempt, Perform, describe_failure
from errand.worker.execution import Execution
from errand.worker.job_log import LogOutcome, log_expired, log_outcome, log_quarantined
from errand.worker.processes.fork import handle_stops
from errand.worker.processes.process_handles import Heartbeat
from errand.worker.report import Report
from errand.worker.runner.exchanger import Exchanger
from errand.worker.runner.job_intake import JobIntake
from errand.worker.runner.pending_reports import Reports
from errand.worker.runner.running_executions import RunningExecutions
from errand.worker.runner.threads import RunningExecution, Threads
from errand.worker.runner.wakeup import Wakeup
from errand.worker.runner.work_notices import Notices
from errand.worker.runner_plan import Plan
from errand.worker.shared.surroundings import Surroundings

WAIT_SECONDS = 0.25  # so often an idle runner asks Redis by itself, should a notice have been lost
ORDERS_SECONDS = 0.02  # how often orders are read while busy: each look gives the interpreter to the jobs' threads
CLOCK_SECONDS = 0.1  # so often time-outs are looked for at most; an idle loop does once in WAIT_SECONDS


class Runner:
    """Runs until its orders end it, or until what its plan says has come.

    `orders` come from the supervisor, which sees the `heartbeat`. `perform` runs an attempt of a job, in a thread;
    `log` gets each report with Redis' answer to it.
    """

    def __init__(
        self,
        plan: Plan,
        orders: tuple[Connection, Heartbeat],
        exchanger: Exchanger,
        notices: Notices,
        perform: Perform,
        surroundings: Surroundings,
        log: LogOutcome = log_outcome,
    ) -> None:
        self._isolated = plan.isolated
        self._orders, self._heartbeat = orders
        self._exchanger, self._notices = exchanger, notices
        self._perform, self._surroundings = perform, surroundings
        self._wakeup = Wakeup()
        self._reports = Reports(self._wakeup.set, log)
        threads = Threads(lambda running: surroundings.context.run(self._run, running), self._reports.add_end)
        self._running = RunningExecutions(threads, plan.busy)
        self._intake = JobIntake(plan, self._running, surroundings)
        self._clock_at = self._looked_at = 0.0

    def run(self) -> None:
        """Work; return when nothing is left to do."""
        # A handler, since a signal that is ignored here would be ignored by the processes that jobs start. A platform
        # that stops us signals those too, and a job that fails for that has not failed.
        handle_stops(self._drain)
        self._surroundings.open(self._wakeup.set)
        while not self._is_over():
            self._heartbeat.beat()
            self._wait()
            self._look_at_clock()
            if self._intake.look_at_memory():
                self._orders.send(("full", self._intake.taken))
            self._exchange()
            self._notices.take()  # only now: what woke us is no news any more, and a job waits for its start
        self._orders.send(("done", not self._intake.is_closed))
        self._surroundings.close()

    def close(self) -> None:
        """Close the pipes and the subscription and stop the loop, in a process that a job has forked."""
        self._notices.close()
        self._surroundings.loop.stop_inherited()
        self._orders.close()
        self._wakeup.close()

    def _drain(self, *_: object) -> None:
        self._intake.is_draining = True

    def _run(self, running: RunningExecution) -> tuple[Report, BaseException | None]:
        """Run an execution, in its thread."""
        execution = running.execution

        def check_stop() -> None:
            if running.is_stopped:  # it was interrupted, and has swallowed that
                raise JobStopped

        report = partial(self._reports.add_progress, execution)
        run_coroutine = partial(self._surroundings.loop.run, take_cancel=running.take_cancel)
        attempt = LiveAttempt(report, execution.now, check_stop, run_coroutine, execution.times.expires_at)
        end, error = self._perform(execution, attempt)
        running.context = attempt.context or running.context
        if issubclass(type(error), CancelledError) and running.error is not None:
            error = running.error()
            end = describe_failure(execution, error)
        return end, error

    def _wait(self) -> None:
        """Wait until there is something to do, and obey orders; while there is, look for orders only now and then.

        A look gives the interpreter to the jobs' threads, which are to have it while the next call to Redis runs.
        """
        now = time.monotonic()
        busy = self._is_busy(now)
        if busy and now - self._looked_at < ORDERS_SECONDS:
            return
        self._looked_at = now
        seconds = self._intake.limit_wait(0.0 if busy else WAIT_SECONDS, now)
        if now < (paused_until := self._exchanger.pause.until):
            seconds = min(WAIT_SECONDS, paused_until - now)
        notices, wakeup, orders = self._notices.fileno(), self._wakeup.fileno(), self._orders.fileno()
        poll = select.poll()
        for descriptor in (wakeup, orders, notices):
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
        if wakeup in ready:
            self._wakeup.clear()
        self._notices.has_come = notices in ready
        if orders in ready:
            self._obey()

    def _is_busy(self, now: float) -> bool:
        """Return whether there is something to report to Redis, or to take from it."""
        return now >= self._exchanger.pause.until and (self._reports.has_new or self._intake.has_more)

    def _obey(self) -> None:
        while self._orders.poll():
            order, content = self._orders.recv()
            if order == "drain":
                self._drain()
            elif order == "retire":
                self._drain()
                self._running.abandon(content)
            elif order == "free":
                self._running.free(content)
            elif order == "stop":
                self._running.stop(content)

    def _look_at_clock(self) -> None:
        now = time.monotonic()
        if now - self._clock_at < CLOCK_SECONDS:
            return
        self._clock_at = now
        self._running.interrupt_overdue(now)
        try:
            self._notices.look(now)
        except RedisError as error:
            self._exchanger.pause.prolong(error)

    def _exchange(self) -> None:
        """Record what was reported, and take a job for each free thread."""
        if self._reports.collect(self._running.end, self._intake.is_draining):
            self._surroundings.look(self._running.members)
        if time.monotonic() < self._exchanger.pause.until:
            return
        # What was logged goes first: who sees an end finds all of it.
        if (fault := self._surroundings.ship()) is not None:
            self._exchanger.pause.prolong(fault)
            return
        intake = self._intake
        answered = self._exchanger.exchange(self._reports.unsent, intake.count_next(), intake.is_closed)
        if answered is None:
            return
        exchange, is_resent = answered
        reports = self._reports.take()
        intake.note(exchange, self._exchanger.asked, bool(reports))
        log_quarantined(exchange.quarantined)
        log_expired(exchange.expired)
        for execution in exchange.executions:
            self._start(execution)
        self._reports.log_answers(reports, exchange.answers, is_resent)
        has_repeated, self._reports.unsent = self._exchanger.repeat(reports, exchange)
        if has_repeated:
            intake.look_again()

    def _start(self, execution: Execution) -> None:
        if execution.losses or (self._isolated and execution.data.startswith(self._isolated)):
            self._running.add_beside(execution.member)
            self._orders.send(("alone", execution))
        else:
            self._running.start(execution)

    def _is_over(self) -> bool:
        is_done = self._reports.is_empty and not self._exchanger.is_unanswered and self._running.is_idle
        return is_done and self._intake.is_over
