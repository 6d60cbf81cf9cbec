"""The supervisor: it runs no job code and has one thread, so that nothing that a job does can hold it up."""

import logging
import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection

from redis import RedisError

from errand.redis.connection import GOODBYE, bound
from errand.redis.failover import AWAY, RoleWatch
from errand.worker.attempt import JobStopped, describe_failure, describe_timeout
from errand.worker.channel import Channel
from errand.worker.command import Command, read_command
from errand.worker.execution import Execution, Report
from errand.worker.plan import Plan
from errand.worker.processes.duties import Duties
from errand.worker.processes.first import reap_orphans
from errand.worker.processes.fork import owning
from errand.worker.processes.handles import ChildProcess, Heartbeat, RunnerProcess, reap
from errand.worker.processes.handover import Handover
from errand.worker.processes.outage import Outage
from errand.worker.processes.signals import Signals
from errand.worker.records import Records
from errand.worker.settings import WorkerSettings
from errand.worker.tell import describe_end, tell_end, tell_fates, tell_late_exit

BEAT_SECONDS = 0.5
OVERTIME_SECONDS = 2.0
GOODBYE_SECONDS = 2.0
BRIEF_SECONDS = 5.0
YOUNG_SECONDS = 5.0
SILENT_SECONDS = 20.0
LONGEST_WAIT_SECONDS = 30.0
logger = logging.getLogger("errand.worker")


class Supervisor:
    """Keeps a runner going, renews its leases, ends what overruns, recovers what died; stops when it is told to."""

    def __init__(
        self,
        settings: WorkerSettings,
        plan: Plan,
        records: Records,
        commands: Channel,
        duties: Duties,
        run_runner: Callable[[Plan, Connection, Heartbeat], None],
        run_child: Callable[[Execution], None],
        signals: Signals,
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._records = records
        self._commands = commands
        self._duties = duties
        self._run_runner = run_runner
        self._run_child = run_child
        self._signals = signals
        self._runners: list[RunnerProcess] = []
        self._children: list[ChildProcess] = []
        self._bereaved: deque[Callable[[], None]] = deque()
        self._held: dict[str, float] = {}
        self._seen_at: dict[str, float] = {}
        self._outage, self._handover = Outage(settings.lease_seconds), Handover(records)
        self._role = RoleWatch(records.redis, commands.close, duties.reconnect)
        self._stop_by: float | None = None
        self._stop_asked_at = 0.0
        self._start_at = 0.0
        self._quick_deaths = 0
        self._is_over = False

    def run(self) -> None:
        """Work until told to stop, or until the plan's end."""
        with suppress(RedisError):  # what one before us held under the same name
            tell_fates(self._records.release("lost"))
        next_beat = 0.0
        with owning(self._close):
            while not self._is_over:
                self._heed_signals()
                self._start_runner()
                self._wait(next_beat)
                self._hear()
                self._bury()
                self._settle()
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + BEAT_SECONDS
                    next_beat = 0.0 if self._beat() else next_beat
                self._watch_stop()
        self._say_goodbye()

    def _close(self) -> None:
        self._signals.close()
        for runner in self._runners:
            runner.orders.close()

    def _start_runner(self) -> None:
        now = time.monotonic()
        if self._stop_by is not None or now < self._start_at or any(runner.takes_jobs for runner in self._runners):
            return
        plan = self._handover.plan(self._plan, self._runners, self._children)
        self._runners.append(RunnerProcess(plan.prefix, partial(self._run_runner, plan), self._settings.grace_seconds))

    def _wait(self, until: float) -> None:
        poll = select.poll()
        poll.register(self._signals.fileno(), select.POLLIN)
        for runner in self._runners:
            poll.register(runner.orders, select.POLLIN)
        commands = self._commands.fileno()
        if commands is not None:
            poll.register(commands, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(max(0.0, until - time.monotonic()) * 1000)}
        if commands in ready:
            for message in self._commands.read():
                self._obey(read_command(message))

    def _heed_signals(self) -> None:
        for number, came_at in self._signals.read():
            if self._stop_by is None:
                grace = self._settings.grace_seconds
                self._stop(came_at, grace if number == signal.SIGTERM else min(grace, BRIEF_SECONDS))
            else:  # Ctrl-C may reach us twice, from the terminal and from what started us: a second's grace for that
                self._stop_by = min(self._stop_by, max(came_at, self._stop_asked_at + 1))

    def _stop(self, asked_at: float, grace_seconds: float) -> None:
        """Take nothing new; what has not ended after the grace goes back to its queue."""
        self._stop_asked_at = asked_at
        self._stop_by = asked_at + grace_seconds
        logger.info("Stopping; running jobs have %g seconds to end", grace_seconds)
        bound(self._records.redis, GOODBYE)
        self._commands.close()
        for runner in self._runners:
            runner.tell("drain")
        for child in self._children:
            child.tell_to_drain()

    def _hear(self) -> None:
        for runner in self._runners:
            self._start_alone(runner)

    def _start_alone(self, runner: RunnerProcess) -> None:
        for execution in runner.hear():
            self._children.append(ChildProcess(execution, self._run_child, self._settings.grace_seconds))
            if self._stop_by is not None:
                self._children[-1].tell_to_drain()

    def _bury(self) -> None:
        """Look which children have ended, and what that means for what they held."""
        for child in list(self._children):
            code = reap(child.pid)
            if code is not None:
                self._children.remove(child)
                tell_late_exit(child.execution, code)
                self._bereaved.append(partial(self._settle_child, child))
                for runner in self._runners:
                    runner.tell("free", child.execution.member)
        for runner in list(self._runners):
            code = reap(runner.pid)
            if code is not None:
                self._runners.remove(runner)
                self._start_alone(runner)  # it may have asked for it before it ended
                self._handover.note(runner)
                self._bereaved.append(partial(self._settle_runner, runner))
                self._replace(runner, code)
        reap_orphans([child.pid for child in self._children] + [runner.pid for runner in self._runners])

    def _replace(self, runner: RunnerProcess, code: int) -> None:
        """Let the next runner start at once, or a while later where they die young."""
        if runner.is_plans_end:
            self._is_over = True
        elif not runner.is_done and runner.why is None:
            logger.error("The runner died (%s); its jobs run again, each alone", describe_end(code))
            lived = time.monotonic() - runner.started_at
            self._quick_deaths = self._quick_deaths + 1 if lived < YOUNG_SECONDS else 0
            wait_seconds = 2.0 ** (self._quick_deaths - 1) if self._quick_deaths > 1 else 0.0
            self._start_at = time.monotonic() + min(wait_seconds, LONGEST_WAIT_SECONDS)

    def _settle(self) -> None:
        """Hand back what the dead held; while Redis is away it stays to be done."""
        with suppress(RedisError):
            while self._bereaved:
                self._bereaved[0]()
                self._bereaved.popleft()

    def _settle_child(self, child: ChildProcess) -> None:
        if child.why == "timeout":
            self._record(describe_timeout(child.execution))
        elif child.why == "stopped":
            self._record(describe_failure(child.execution, JobStopped()))
        else:
            tell_fates(self._records.release(child.why or "lost", child.execution.id))

    def _record(self, report: Report) -> None:
        tell_end(report, self._records.exchange([report]).answers[0], None, resent=True)

    def _settle_runner(self, runner: RunnerProcess) -> None:
        alone = [child.execution.member for child in self._children]
        why = runner.why or ("interrupted" if runner.is_done else "lost")
        tell_fates(self._records.release(why, runner.prefix, alone))

    def _beat(self) -> bool:
        """Renew what is held, end what overran, recover what nobody holds, move what is due; return if more is due."""
        is_behind = False
        if self._stop_by is None:
            self._commands.keep()
        try:
            self._role.look()
            known, held = self._records.hold()
            self._outage.note_answer(self._records.clock.epoch)
            if not known:
                self._duties.register_again()
            self._held = held
            self._handover.look(held, self._runners)
            clock = self._outage.clock_seconds
            self._seen_at = {member: self._seen_at.get(member, clock) for member in held}
            if self._outage.is_over:
                tell_fates(self._records.recover())
            if self._stop_by is None:
                is_behind = self._duties.run_chores()
            self._outage.note_consent()
        except AWAY as error:
            self._outage.note_silence(error)
            self._role.leave()  # at once: the other connections lead to the same server
        except RedisError as error:
            self._outage.note_refusal(error)
        self._watch_times()
        return is_behind

    def _watch_times(self) -> None:
        """End what overran its time: jobs, runners that retire, and idle ones that do not go round any more."""
        for member, timeout_seconds in self._held.items():
            if self._outage.clock_seconds - self._seen_at[member] > timeout_seconds + OVERTIME_SECONDS:
                with suppress(RedisError):  # the next beat tries again
                    self._end_overdue(member, timeout_seconds)
        for runner in self._runners:
            if runner.retires_by is not None:
                if time.monotonic() > runner.retires_by:
                    runner.kill("interrupted")
            elif runner.heartbeat.silent_seconds > SILENT_SECONDS and not any(map(runner.holds, self._held)):
                logger.error("The runner does nothing and does not answer; it is replaced")
                runner.kill("interrupted")

    def _end_overdue(self, member: str, timeout_seconds: float) -> None:
        """Record a time-out that the job did not obey; what runs it goes."""
        for child in self._children:
            if child.execution.member == member:
                logger.warning(
                    "%s %s is past its time; its process is killed", child.execution.description, child.execution.job_id
                )
                child.kill("timeout")
                return
        for runner in self._runners:
            if runner.holds(member):
                execution = self._records.find(member, timeout_seconds)
                logger.warning("Job %s is past its time and does not end; the runner is replaced", execution.job_id)
                grace = self._settings.grace_seconds
                # Its thread lives as long as the runner: the retry must not start before that has gone.
                self._record(describe_timeout(execution, delay_seconds=grace + OVERTIME_SECONDS))
                runner.retires_by = runner.retires_by or time.monotonic() + grace
                runner.tell("retire", [member])

    def _obey(self, command: Command) -> None:
        if command.name == "shutdown":
            os.kill(os.getpid(), signal.SIGINT)
        elif command.name in ("stop-job", "stop-execution"):
            with suppress(RedisError):
                for member in filter(command.means, self._records.hold()[1]):
                    self._stop_job(member)

    def _stop_job(self, member: str) -> None:
        for child in self._children:
            if child.execution.member == member:
                child.kill("stopped")
        for runner in self._runners:
            if runner.holds(member):
                runner.tell("stop", member)

    def _watch_stop(self) -> None:
        if self._stop_by is None:
            return
        if time.monotonic() > self._stop_by:
            processes: list[RunnerProcess | ChildProcess] = [*self._runners, *self._children]
            for process in processes:
                process.kill("interrupted")
        self._is_over = not self._runners and not self._children

    def _say_goodbye(self) -> None:
        """Hand back the rest, for a few seconds if Redis is away: without that they wait for their leases to end."""
        deadline = time.monotonic() + GOODBYE_SECONDS
        self._bereaved.append(lambda: tell_fates(self._records.release("interrupted")))
        while self._bereaved and time.monotonic() < deadline:
            self._settle()
            if self._bereaved:
                time.sleep(0.2)
