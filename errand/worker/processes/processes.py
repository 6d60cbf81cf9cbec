"""The processes that a supervisor has: runners, and a child for each job that runs alone."""

import logging
import time
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import NamedTuple

from redis import RedisError

from errand.worker.attempt import JobStopped, describe_failure, describe_timeout
from errand.worker.execution import Execution
from errand.worker.job_log import describe_end, log_fates, log_late_exit, log_outcome
from errand.worker.processes.handover import Handover
from errand.worker.processes.pid_one import reap_adopted
from errand.worker.processes.process_handles import ChildProcess, Heartbeat, RunnerProcess, reap
from errand.worker.processes.respawn import Respawn
from errand.worker.records import Records
from errand.worker.report import Report
from errand.worker.runner_plan import Plan

OVERTIME_SECONDS = 2.0  # a job's clean-up after its time-out, before its child is killed or its runner retires
SILENT_SECONDS = 20.0  # a runner's loop goes round four times a second; a swapping machine may hold it up for long
logger = logging.getLogger("errand.worker")


class Mains(NamedTuple):
    """What a runner does, and what a child does."""

    runner: Callable[[Plan, Connection, Heartbeat], None]
    child: Callable[[Execution], None]


class WorkerProcesses:
    """Starts runners one after another as `plan` says, and children as they ask; settles what one held that has ended.

    `is_draining` is set once no more may start; `is_plan_over` where a runner ended by its plan.
    """

    def __init__(self, plan: Plan, mains: Mains, records: Records, grace_seconds: float) -> None:
        self.runners: list[RunnerProcess] = []
        self.children: list[ChildProcess] = []
        self.is_draining = self.is_plan_over = False
        self._plan, self._mains, self._records = plan, mains, records
        self._grace_seconds = grace_seconds
        self._handover, self._respawn = Handover(records), Respawn()
        self._unsettled: deque[Callable[[], None]] = deque()

    def start_runner(self) -> None:
        """Start a runner, if none takes jobs and it is time."""
        if self.is_draining or not self._respawn.is_due or any(runner.takes_jobs for runner in self.runners):
            return
        plan = self._handover.plan(self._plan, self.runners, self.children)
        self.runners.append(RunnerProcess(plan.prefix, partial(self._mains.runner, plan), self._grace_seconds))

    def start_children(self) -> None:
        """Start what the runners have asked for."""
        for runner in self.runners:
            self._start_children_of(runner)

    def _start_children_of(self, runner: RunnerProcess) -> None:
        for execution in runner.receive():
            self.children.append(ChildProcess(execution, self._mains.child, self._grace_seconds))
            if self.is_draining:
                self.children[-1].drain()

    def reap(self) -> None:
        """Find which have ended; what they held is settled later, and the next runner may start."""
        for child in list(self.children):
            code = reap(child.pid)
            if code is not None:
                self.children.remove(child)
                log_late_exit(child.execution, code)
                self._unsettled.append(partial(self._settle_child, child))
                for runner in self.runners:
                    runner.send("free", child.execution.member)
        for runner in list(self.runners):
            code = reap(runner.pid)
            if code is not None:
                self.runners.remove(runner)
                self._start_children_of(runner)  # it may have asked for them before it ended
                self._handover.note(runner)
                self._unsettled.append(partial(self._settle_runner, runner))
                self._judge_end(runner, code)
        reap_adopted([child.pid for child in self.children] + [runner.pid for runner in self.runners])

    def _judge_end(self, runner: RunnerProcess, code: int) -> None:
        if runner.is_plans_end:
            self.is_plan_over = True
        elif not runner.is_done and runner.why is None:
            logger.error("The runner died (%s); its jobs run again, each alone", describe_end(code))
            self._respawn.note_death(time.monotonic() - runner.started_at)

    def settle(self) -> bool:
        """Hand back what those held that have ended; return whether that is done, which it is not without Redis."""
        with suppress(RedisError):
            while self._unsettled:
                self._unsettled[0]()
                self._unsettled.popleft()
        return not self._unsettled

    def release_all(self) -> None:
        """Hand back what the worker still holds, with the next `settle`."""
        self._unsettled.append(lambda: log_fates(self._records.leases.release("interrupted")))

    def _settle_child(self, child: ChildProcess) -> None:
        if child.why == "timeout":
            self._record(describe_timeout(child.execution))
        elif child.why == "stopped":
            self._record(describe_failure(child.execution, JobStopped()))
        else:
            log_fates(self._records.leases.release(child.why or "lost", child.execution.id))

    def _settle_runner(self, runner: RunnerProcess) -> None:
        alone = [child.execution.member for child in self.children]
        why = runner.why or ("interrupted" if runner.is_done else "lost")
        log_fates(self._records.leases.release(why, runner.prefix, alone))

    def _record(self, report: Report) -> None:
        log_outcome(report, self._records.exchange([report]).answers[0], None, resent=True)

    def note_held(self, held: Collection[str]) -> None:
        """Note what the worker holds: what a runner handed over to the next one, and is not held now, has ended."""
        self._handover.look(held, self.runners)

    def drain(self) -> None:
        """Let none start, and let all end what they run."""
        self.is_draining = True
        for runner in self.runners:
            runner.send("drain")
        for child in self.children:
            child.drain()

    def kill_all(self) -> None:
        """End all of them, and what their jobs started."""
        processes: list[RunnerProcess | ChildProcess] = [*self.runners, *self.children]
        for process in processes:
            process.kill("interrupted")

    def replace_silent(self, held: Collection[str]) -> None:
        """End runners that retire and have had their time, and those that hold nothing and don't answer."""
        for runner in self.runners:
            if runner.retires_by is not None:
                if time.monotonic() > runner.retires_by:
                    runner.kill("interrupted")
            elif runner.heartbeat.silent_seconds > SILENT_SECONDS and not any(map(runner.holds, held)):
                logger.error("The runner does nothing and does not answer; it is replaced")
                runner.kill("interrupted")

    def end_overdue(self, member: str, timeout_seconds: float) -> None:
        """Record a time-out that the job did not obey, and end what runs it. Raises RedisError."""
        for child in self.children:
            if child.execution.member == member:
                type, id = child.execution.description, child.execution.job_id
                logger.warning("%s %s is past its time; its process is killed", type, id)
                child.kill("timeout")
                return
        for runner in self.runners:
            if runner.holds(member):
                execution = self._records.leases.find(member, timeout_seconds)
                logger.warning("Job %s is past its time and does not end; the runner is replaced", execution.job_id)
                # Its thread lives as long as the runner: the retry must not start before that has gone.
                self._record(describe_timeout(execution, delay_seconds=self._grace_seconds + OVERTIME_SECONDS))
                runner.retires_by = runner.retires_by or time.monotonic() + self._grace_seconds
                runner.send("retire", [member])

    def stop_job(self, member: str) -> None:
        """End an execution that somebody stopped."""
        for child in self.children:
            if child.execution.member == member:
                child.kill("stopped")
        for runner in self.runners:
            if runner.holds(member):
                runner.send("stop", member)

    def close(self) -> None:
        """Close the pipes, in a process that was forked."""
        for runner in self.runners:
            runner.orders.close()
