"""The supervisor: it runs no job code and has one thread, so that nothing that a job does can hold it up."""

import logging
import os
import select
import signal
import time
from contextlib import suppress
from typing import Protocol

from redis import RedisError

from errand.redis.connection import GOODBYE, bound
from errand.redis.failover import AWAY, RoleWatch
from errand.worker.channel import Channel
from errand.worker.job_log import log_fates
from errand.worker.processes.command import Command, read_command
from errand.worker.processes.fork import owning
from errand.worker.processes.held_executions import HeldExecutions
from errand.worker.processes.outage import Outage
from errand.worker.processes.processes import OVERTIME_SECONDS, WorkerProcesses
from errand.worker.processes.signals import Signals
from errand.worker.records import Records
from errand.worker.settings import WorkerSettings

BEAT_SECONDS = 0.5  # what is due starts so late at most, and the shortest lease, of 2 s, is renewed four times
GOODBYE_SECONDS = 2.0  # a platform kills what has not ended some seconds after the grace
BRIEF_SECONDS = 5.0  # what Ctrl-C leaves of the grace: a person waits at the terminal
SECOND_STOP_SECONDS = 1.0  # Ctrl-C may come twice, from the terminal and from what started us: the second waits so long
logger = logging.getLogger("errand.worker")


class Maintenance(Protocol):
    """What a worker does beside running jobs. Every method may raise RedisError."""

    def register_again(self) -> None:
        """Make the worker known to RQ again, where its record has gone."""

    def run_chores(self) -> bool:
        """Move due jobs, serve schedules, clean RQ's registries; return whether it is to go on at once."""

    def reconnect(self) -> None:
        """Let its clients connect anew."""


class Supervisor:
    """Keeps a runner going, renews its leases, ends what overruns, recovers what died; stops at SIGTERM and SIGINT.

    `chores` are what the worker does beside running jobs, `commands` the channel of RQ's commands to it.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        processes: WorkerProcesses,
        records: Records,
        chores: Maintenance,
        commands: Channel,
        signals: Signals,
    ) -> None:
        self._grace_seconds = settings.grace_seconds
        self._processes, self._records, self._chores = processes, records, chores
        self._commands, self._signals = commands, signals
        self._held, self._outage = HeldExecutions(), Outage(settings.lease_seconds)
        self._role = RoleWatch(records.redis, commands.close, chores.reconnect)
        self._stop_by: float | None = None
        self._stop_asked_at = 0.0

    def run(self) -> None:
        """Work until told to stop, or until the plan's end."""
        with suppress(RedisError):  # what one before us held under the same name
            log_fates(self._records.leases.release("lost"))
        next_beat = 0.0
        with owning(self._close):
            while not self._is_over():
                self._heed_signals()
                self._processes.start_runner()
                self._wait(next_beat)
                self._processes.start_children()
                self._processes.reap()
                self._processes.settle()
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + BEAT_SECONDS
                    next_beat = 0.0 if self._beat() else next_beat
                if self._stop_by is not None and time.monotonic() > self._stop_by:
                    self._processes.kill_all()
        self._release_all()

    def _is_over(self) -> bool:
        if self._stop_by is None:
            return self._processes.is_plan_over
        return not self._processes.runners and not self._processes.children

    def _close(self) -> None:
        self._signals.close()
        self._processes.close()

    def _wait(self, until: float) -> None:
        poll = select.poll()
        poll.register(self._signals.fileno(), select.POLLIN)
        for runner in self._processes.runners:
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
                grace = self._grace_seconds
                self._stop(came_at, grace if number == signal.SIGTERM else min(grace, BRIEF_SECONDS))
            else:
                self._stop_by = min(self._stop_by, max(came_at, self._stop_asked_at + SECOND_STOP_SECONDS))

    def _stop(self, asked_at: float, grace_seconds: float) -> None:
        """Take nothing new; what has not ended after the grace goes back to its queue."""
        self._stop_asked_at = asked_at
        self._stop_by = asked_at + grace_seconds
        logger.info("Stopping; running jobs have %g seconds to end", grace_seconds)
        bound(self._records.redis, GOODBYE)
        self._commands.close()
        self._processes.drain()

    def _beat(self) -> bool:
        """Renew what is held, end what overran, recover what nobody holds, do the chores; return if more is due."""
        is_behind = False
        if self._stop_by is None:
            self._commands.keep()
        try:
            self._role.look()
            is_known, held = self._records.leases.renew()
            self._outage.note_answer(self._records.clock.epoch)
            if not is_known:
                self._chores.register_again()
            self._held.note(held, self._outage.clock_seconds)
            self._processes.note_held(held)
            if self._outage.is_over:
                log_fates(self._records.leases.recover())
            if self._stop_by is None:
                is_behind = self._chores.run_chores()
            self._outage.note_consent()
        except AWAY as error:
            self._outage.note_silence(error)
            self._role.leave()  # at once: the other connections lead to the same server
        except RedisError as error:
            self._outage.note_refusal(error)
        self._end_overdue()
        return is_behind

    def _end_overdue(self) -> None:
        """End what overran its time: jobs, and runners that retire or don't answer."""
        for member, timeout_seconds in self._held.list_overdue(self._outage.clock_seconds - OVERTIME_SECONDS):
            with suppress(RedisError):  # the next beat tries again
                self._processes.end_overdue(member, timeout_seconds)
        self._processes.replace_silent(self._held.members)

    def _obey(self, command: Command) -> None:
        if command.name == "shutdown":
            os.kill(os.getpid(), signal.SIGINT)
        elif command.name in ("stop-job", "stop-execution"):
            with suppress(RedisError):
                for member in filter(command.means, self._records.leases.renew()[1]):
                    self._processes.stop_job(member)

    def _release_all(self) -> None:
        """Hand back the rest, for a few seconds if Redis is away: else those jobs wait for their leases to end."""
        deadline = time.monotonic() + GOODBYE_SECONDS
        self._processes.release_all()
        while not self._processes.settle() and time.monotonic() < deadline:
            time.sleep(0.2)
