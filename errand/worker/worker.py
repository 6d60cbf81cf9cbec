"""The worker: a class for the `rq worker` command, whose work a supervisor and its processes do."""

import gc
import logging
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from secrets import token_hex
from typing import Any, ClassVar, TypeVar

from pydantic_settings import BaseSettings
from redis import Redis, RedisError
from redis.exceptions import ConnectionError, OutOfMemoryError, TimeoutError
from rq import Queue, Worker
from rq.command import PUBSUB_CHANNEL_TEMPLATE
from rq.defaults import DEFAULT_FAILURE_TTL, DEFAULT_LOGGING_DATE_FORMAT, DEFAULT_LOGGING_FORMAT
from rq.logutils import setup_loghandlers
from rq.worker.base import DequeueStrategy, WorkerStatus

from errand.contract.attempt import run_jobs_here
from errand.contract.catalog import check_settings
from errand.contract.job import Job
from errand.contract.load import PACKAGE, list_queues, load_jobs
from errand.contract.malloc import give_back_large_blocks
from errand.redis import keys
from errand.redis.clock import Clock
from errand.redis.connection import GOODBYE, WORKER, Limits, PoolConnector, bound
from errand.redis.failover import renew
from errand.redis.refusals import find_refusal
from errand.redis.settings import SettingsError, format_fault, read_settings
from errand.store.settings import LifetimeSettings
from errand.worker.attempt import Perform, perform
from errand.worker.channel import Channel
from errand.worker.child import Child
from errand.worker.execution import Execution
from errand.worker.handlers import Handlers
from errand.worker.job_log import LogOutcome
from errand.worker.logs import WORKER as WORKER_LOG
from errand.worker.logs import form_log_of_rq, share_log_of_rq
from errand.worker.maintenance.chores import Chores
from errand.worker.output.output import LoneOutput, Output
from errand.worker.output.printed import choose_form
from errand.worker.processes.fork import owning
from errand.worker.processes.process_handles import Heartbeat
from errand.worker.processes.processes import Mains, WorkerProcesses
from errand.worker.processes.signals import Signals
from errand.worker.processes.supervisor import Supervisor
from errand.worker.records import Lifetimes, Records, format_time
from errand.worker.repeats import Repeats
from errand.worker.runner.exchanger import Exchanger
from errand.worker.runner.runner import Runner
from errand.worker.runner.work_notices import Notices
from errand.worker.runner_plan import Plan
from errand.worker.served import ServedJobs, ServedQueues
from errand.worker.settings import WorkerSettings
from errand.worker.shared.streams import Streams
from errand.worker.shared.surroundings import LoneSurroundings, Surroundings
from errand.worker.types import WorkerTypes

S = TypeVar("S", bound=BaseSettings)
# Some three seconds of retries: what a job asks of Redis should not fail for a restart.
JOBS = Limits(keys.WORKER_ANSWER_SECONDS, keys.WORKER_CONNECT_SECONDS, retries=5)


class ErrandWorker(Worker):
    """Registered and seen as RQ's worker; takes, runs and records jobs in a way of its own.

    It runs the jobs of `package`, and the `builtin` ones that are named.
    """

    package: ClassVar[str] = PACKAGE
    builtin: ClassVar[Sequence[str]] = ()

    def __init__(self, queues: list[Queue | str], name: str | None = None, *args: Any, **options: Any) -> None:
        types = load_jobs(self.package, self.builtin)
        names = [queue if isinstance(queue, str) else queue.name for queue in queues]
        _check([job for job in types.values() if job.queue.name in names])  # before anything else reads their settings
        self._jobs = ServedJobs(types, self.package)
        # The rq command passes its own serializer and classes, even where the user named none.
        options |= {"job_class": self._jobs.job_class, "queue_class": Queue, "serializer": "json"}
        super().__init__(names, name or f"{socket.gethostname()}.{os.getpid()}.{token_hex(3)}", *args, **options)
        self.log = logging.getLogger(WORKER_LOG)
        self._settings = _read_settings(WorkerSettings)
        self._clock = Clock(self.log.warning)
        self._published = WorkerTypes(
            self.connection, self.name, self._jobs.codes, self._lifetime_seconds, self._settings.threads
        )
        self._connector = PoolConnector(self.connection)
        self._serves_all = names == [queue.name for queue in list_queues(types)]
        lifetimes = _read_settings(LifetimeSettings)
        self._chores = Chores(self, self._build_records(), lifetimes, types, self._clock, self._register_again)

    @property
    def _lifetime_seconds(self) -> int:
        """How long RQ keeps the worker's record without a heartbeat."""
        return int(self.worker_ttl) + 60

    def _set_ip_address(self, connection: Redis) -> None:
        try:
            super()._set_ip_address(connection)
        except (ConnectionError, TimeoutError):  # Redis went away just now
            self.ip_address = "unknown"

    def _set_connection(self, connection: Redis) -> Redis:
        bound(connection)
        return connection

    @property
    def connection_timeout(self) -> int:
        """Seconds that Redis may take to answer; RQ waits 415."""
        return int(WORKER.answer_seconds)

    def work(
        self,
        burst: bool = False,
        logging_level: str | None = None,
        date_format: str = DEFAULT_LOGGING_DATE_FORMAT,
        log_format: str = DEFAULT_LOGGING_FORMAT,
        max_jobs: int | None = None,
        max_idle_time: int | None = None,
        with_scheduler: bool = False,
        dequeue_strategy: DequeueStrategy = DequeueStrategy.DEFAULT,
    ) -> bool:
        """Work until told to stop, or as long as the options say; due jobs are moved with or without a scheduler.

        The queues are served in the order given; all of them, or with another strategy, in turn.
        """
        in_turn = self._serves_all or dequeue_strategy != DequeueStrategy.DEFAULT
        queues = ServedQueues(self.queue_names(), in_turn, rates=self._jobs.list_rates())
        threads, most_mb = self._settings.threads, self._settings.max_mb
        plan = Plan("", threads, queues, self._jobs.list_isolated(), (), burst, max_jobs, max_idle_time, most_mb)
        with Signals() as signals, owning(self._connector.close_inherited):
            self._begin(logging_level, date_format, log_format)
            try:
                self._build_supervisor(plan, signals).run()
            finally:
                bound(self.connection, GOODBYE)
                with suppress(RedisError):
                    self._published.withdraw()
                    self.register_death()  # type: ignore[no-untyped-call]
                self.log.info("Worker %s: stopped", self.name)
        return True

    def _begin(self, *log_options: Any) -> None:
        setup_loghandlers(*log_options)
        form_log_of_rq(self.name)
        share_log_of_rq(is_level_given=log_options[0] is not None)
        try:
            self._chores.wrong.attempt(partial(self.bootstrap, *log_options))
            self._chores.wrong.attempt(self._published.publish)
            self._chores.wrong.attempt(partial(self.set_state, WorkerStatus.IDLE))
            self._chores.wrong.attempt(self._chores.due.move)
        except OutOfMemoryError:  # it must start all the same, since its jobs' ends make room
            self.log.warning("Worker %s: Redis is full; it works without being listed until there is room", self.name)
        except RedisError as error:  # the supervisor goes on trying
            if not (isinstance(error, ConnectionError | TimeoutError) or find_refusal(error)):
                raise
            self.log.warning("Worker %s: Redis is away, or refuses (%s)", self.name, error)

    def _build_supervisor(self, plan: Plan, signals: Signals) -> Supervisor:
        commands = Channel(self._connector.connect(WORKER), PUBSUB_CHANNEL_TEMPLATE % self.name)
        give_back_large_blocks()
        # What is there now stays shared with the processes that are forked.
        gc.collect()
        gc.freeze()
        records = self._build_records()
        mains = Mains(self._run_runner, self._run_child)
        processes = WorkerProcesses(plan, mains, records, self._settings.grace_seconds)
        return Supervisor(self._settings, processes, records, self._chores, commands, signals)

    def subscribe(self) -> None:
        """Leave RQ's commands to the supervisor; RQ starts a thread, which must not be there before a fork."""

    def register_birth(self) -> None:
        """Make the worker known to RQ, with Redis' time in the place of this host's."""
        super().register_birth()  # type: ignore[no-untyped-call]
        self._clock.ask(self.connection)
        now = format_time(self._clock.now())
        self.connection.hset(self.key, mapping={"birth": now, "last_heartbeat": now})

    def _register_again(self) -> None:
        self._chores.wrong.attempt(self._published.publish)
        self._chores.wrong.attempt(self.register_birth)

    def _build_records(self) -> Records:
        jobs, results_seconds = self._jobs, int(self.default_result_ttl)
        lifetimes = Lifetimes(
            self._settings.lease_seconds, results_seconds, DEFAULT_FAILURE_TTL, self._lifetime_seconds
        )
        redis = self._connector.connect(WORKER)
        return Records(redis, self.name, lifetimes, jobs.ending, jobs.codes, self._clock, jobs.services)

    def _run_runner(self, plan: Plan, orders: Connection, heartbeat: Heartbeat) -> None:
        self._clock.silence()  # the supervisor logs what is wrong with it
        connection, records, repeats = self._connector.connect(JOBS), self._build_records(), Repeats(self)
        surroundings = Surroundings(self._jobs.hooks, Streams(), Output(records.redis, choose_form()))
        exchanger = Exchanger(records, repeats, plan.queues, plan.prefix)
        notices = Notices(records.redis, partial(renew, connection), repeats.reconnect)
        perform, log = self._choose_ways(connection)
        runner = Runner(plan, (orders, heartbeat), exchanger, notices, perform, surroundings, log)
        with owning(self._connector.close_inherited), owning(runner.close):
            runner.run()

    def _run_child(self, execution: Execution) -> None:
        self._clock.silence()
        connection, records = self._connector.connect(JOBS), self._build_records()
        surroundings = LoneSurroundings(self._jobs.hooks, Streams(), LoneOutput(records.redis, choose_form()))
        perform, log = self._choose_ways(connection)
        with owning(self._connector.close_inherited):
            Child(execution, records, Repeats(self), perform, surroundings, log).run()

    def _choose_ways(self, connection: Redis) -> tuple[Perform, LogOutcome]:
        """Return how this process runs an attempt, and what it does with the outcome; `connection` is the jobs'."""
        run_jobs_here()
        job_class = self._jobs.job_class
        log = Handlers(self._exc_handlers, job_class, connection).take
        return partial(perform, job_class=job_class, connection=connection), log


def _check(jobs: Sequence[Job[..., Any]]) -> None:
    """End the process where a setting of a job is missing that this worker would run."""
    try:
        check_settings(jobs)
    except SettingsError as error:
        sys.exit(format_fault(error))


def _read_settings(kind: type[S]) -> S:
    try:
        return read_settings(kind, "the worker")
    except SettingsError as error:
        sys.exit(format_fault(error))
