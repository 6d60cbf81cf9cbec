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

from errand.contract.allocator import give_back_large_blocks
from errand.contract.attempt import run_jobs_here
from errand.contract.catalog import check_settings
from errand.contract.code import hash_codes, hash_services
from errand.contract.hooks import find_hooks
from errand.contract.job import Job
from errand.contract.load import PACKAGE, list_queues, load_jobs
from errand.redis import keys
from errand.redis.clock import Clock
from errand.redis.connection import GOODBYE, WORKER, Limits, PoolConnector, bound
from errand.redis.failover import renew
from errand.redis.refusals import find_refusal
from errand.redis.settings import SettingsError, read_settings, tell
from errand.store.settings import LifetimeSettings
from errand.webhook.webhooks import Webhooks
from errand.worker.allowed import AllowedJob, list_functions
from errand.worker.channel import Channel
from errand.worker.child import Child
from errand.worker.execution import Execution, Queues
from errand.worker.handlers import Handlers
from errand.worker.logs import WORKER as WORKER_LOG
from errand.worker.logs import form_log_of_rq, share_log_of_rq
from errand.worker.maintenance.bodies import Bodies
from errand.worker.maintenance.due import DueJobs
from errand.worker.maintenance.expired import ExpiredJobs
from errand.worker.maintenance.lost import LostJobs
from errand.worker.maintenance.orphans import Orphans
from errand.worker.maintenance.parked import ParkedJobs
from errand.worker.maintenance.registries import Registries
from errand.worker.maintenance.schedules import DueSchedules
from errand.worker.maintenance.settling import Settling
from errand.worker.maintenance.stats import Stats
from errand.worker.maintenance.sweep import Sweep
from errand.worker.maintenance.wrong import WrongKeys
from errand.worker.output.output import LoneOutput, Output
from errand.worker.output.printed import choose_form
from errand.worker.plan import Plan
from errand.worker.processes.fork import owning
from errand.worker.processes.handles import Heartbeat
from errand.worker.processes.signals import Signals
from errand.worker.processes.supervisor import Supervisor
from errand.worker.records import Lifetimes, Records, format_time
from errand.worker.repeats import Repeats
from errand.worker.runner import Runner
from errand.worker.settings import WorkerSettings
from errand.worker.shared.streams import Streams
from errand.worker.shared.surroundings import LoneSurroundings, Surroundings
from errand.worker.types import WorkerTypes

S = TypeVar("S", bound=BaseSettings)
# Some three seconds of retries: what a job asks of Redis should not fail for a restart.
JOBS = Limits(keys.WORKER_ANSWER_SECONDS, keys.WORKER_CONNECT_SECONDS, retries=5)


class ErrandWorker(Worker):
    """Registered and seen as RQ's worker; takes, runs and records jobs by a store of its own.

    It runs the jobs of `package`, and the `builtin` ones that are named.
    """

    package: ClassVar[str] = PACKAGE
    builtin: ClassVar[Sequence[str]] = ()

    def __init__(self, queues: list[Queue | str], name: str | None = None, *args: Any, **options: Any) -> None:
        # The rq command passes its own serializer and classes, even where the user named none.
        types = load_jobs(self.package, self.builtin)
        self._hooks = find_hooks(self.package)
        self._job_class = type("ErrandJob", (AllowedJob,), {"functions": list_functions(types, self.package)})
        options["job_class"] = self._job_class
        options["queue_class"] = Queue
        options["serializer"] = "json"
        names = [queue if isinstance(queue, str) else queue.name for queue in queues]
        _check([job for job in types.values() if job.queue.name in names])
        super().__init__(names, name or f"{socket.gethostname()}.{os.getpid()}.{token_hex(3)}", *args, **options)
        self.log = logging.getLogger(WORKER_LOG)
        self._settings = _read_settings(WorkerSettings)
        self._clock = Clock(self.log.warning)
        self._ending = Webhooks(types).values
        lifetime_seconds = self.worker_ttl + 60
        self._types = WorkerTypes(
            self.connection, self.name, hash_codes(types), lifetime_seconds, self._settings.threads
        )
        self._services = hash_services(types)
        self._connector = PoolConnector(self.connection)
        # RQ's serializer writes the function's path first.
        self._isolated = tuple(f'["{job.path}"'.encode() for job in types.values() if job.isolate)
        rates = [(job.type, job.rate.most, job.rate.period_seconds * 1_000_000) for job in types.values() if job.rate]
        self._rates = tuple(part for rate in rates for part in rate)
        self._serves_all = names == [queue.name for queue in list_queues(types)]
        self._due = DueJobs(self.connection, self.queues)
        records = self._build_records()
        self._orphans_chore = Orphans(records, self.queue_names())
        self._schedules = DueSchedules(self.connection, _read_settings(LifetimeSettings), types, self._clock)
        self._registries = Registries(self, self._clock)
        self._wrong = WrongKeys(self.connection, self.queue_names())
        self._chores = (
            Settling(records).run,
            ExpiredJobs(records).run,
            self._due.move,
            self._schedules.run,
            Sweep(self.connection).run,
            ParkedJobs(self.connection).run,
            Bodies(self.connection).run,
            Stats(self.connection).run,
            self._clean_registries,
            self._orphans_chore.run,
            LostJobs(self.connection).run,
            self._wrong.run,
        )

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
        queues = Queues(self.queue_names(), in_turn, rates=self._rates)
        threads, most_mb = self._settings.threads, self._settings.max_mb
        plan = Plan("", threads, queues, self._isolated, (), burst, max_jobs, max_idle_time, most_mb)
        with Signals() as signals, owning(self._connector.close_inherited):
            self._begin(logging_level, date_format, log_format)
            try:
                self._build_supervisor(plan, signals).run()
            finally:
                bound(self.connection, GOODBYE)
                with suppress(RedisError):
                    self._types.withdraw()
                    self.register_death()  # type: ignore[no-untyped-call]
                self.log.info("Worker %s: stopped", self.name)
        return True

    def _begin(self, *log_options: Any) -> None:
        setup_loghandlers(*log_options)
        form_log_of_rq(self.name)
        share_log_of_rq(is_level_given=log_options[0] is not None)
        try:
            self._wrong.attempt(partial(self.bootstrap, *log_options))
            self._wrong.attempt(self._types.tell)
            self._wrong.attempt(partial(self.set_state, WorkerStatus.IDLE))
            self._wrong.attempt(self._due.move)
        except OutOfMemoryError:  # it must start all the same, for its jobs' ends make room
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
        return Supervisor(
            self._settings, plan, self._build_records(), commands, self, self._run_runner, self._run_child, signals
        )

    def subscribe(self) -> None:
        """Leave RQ's commands to the supervisor; RQ starts a thread, which must not be there before a fork."""

    def register_birth(self) -> None:
        """Make the worker known to RQ, with Redis' time in the place of this host's."""
        super().register_birth()  # type: ignore[no-untyped-call]
        self._clock.ask(self.connection)
        now = format_time(self._clock.now())
        self.connection.hset(self.key, mapping={"birth": now, "last_heartbeat": now})

    def register_again(self) -> None:
        """Make the worker known to RQ, where its record has gone: after a long outage, or a flushed server."""
        self._schedules.tell_files_again()
        with suppress(OutOfMemoryError):
            self._wrong.attempt(self._types.tell)
            self._wrong.attempt(self.register_birth)

    def reconnect(self) -> None:
        """Let what the chores use connect anew."""
        renew(self.connection)
        self._orphans_chore.reconnect()

    def run_chores(self) -> bool:
        """Settle dependents that are left, cancel what has expired, move due jobs, serve the schedules.

        Sweep the indexes, keep the counts. Return whether there is more to do at once. A key of a wrong type ends one
        of them for this time, and the others are done.
        """
        answers = [self._wrong.attempt(chore) for chore in self._chores]
        return any(answer is True for answer in answers)

    def _clean_registries(self) -> None:
        """Clean RQ's registries, every ten minutes. A damaged record there ends only this round."""
        try:
            self._registries.run()
        except RedisError:
            raise
        except Exception:
            self.log.exception("Worker %s: maintenance stopped at a damaged record", self.name)

    def _build_records(self) -> Records:
        results_seconds = int(self.default_result_ttl)
        lifetimes = Lifetimes(self._settings.lease_seconds, results_seconds, DEFAULT_FAILURE_TTL, self.worker_ttl + 60)
        return Records(
            self._connector.connect(WORKER),
            self.name,
            lifetimes,
            self._ending,
            self._types.codes,
            self._clock,
            self._services,
        )

    def _run_runner(self, plan: Plan, orders: Connection, heartbeat: Heartbeat) -> None:
        self._clock.silence()  # the supervisor tells
        connection = self._connector.connect(JOBS)
        records = self._build_records()
        surroundings = Surroundings(self._hooks, Streams(), Output(records.redis, choose_form()))
        run_jobs_here()
        tell = Handlers(self._exc_handlers, self._job_class, connection).tell
        runner = Runner(
            plan, orders, heartbeat, records, connection, self._job_class, Repeats(self), surroundings, tell
        )
        with owning(self._connector.close_inherited), owning(runner.close):
            runner.run()

    def _run_child(self, execution: Execution) -> None:
        self._clock.silence()
        connection = self._connector.connect(JOBS)
        records = self._build_records()
        surroundings = LoneSurroundings(self._hooks, Streams(), LoneOutput(records.redis, choose_form()))
        run_jobs_here()
        tell = Handlers(self._exc_handlers, self._job_class, connection).tell
        with owning(self._connector.close_inherited):
            Child(execution, records, connection, self._job_class, Repeats(self), surroundings, tell).run()


def _check(jobs: Sequence[Job[..., Any]]) -> None:
    """End the process where a setting of a job is missing that this worker would run."""
    try:
        check_settings(jobs)
    except SettingsError as error:
        sys.exit(tell(error))


def _read_settings(kind: type[S]) -> S:
    try:
        return read_settings(kind, "the worker")
    except SettingsError as error:
        sys.exit(tell(error))
