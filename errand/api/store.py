"""What an application stores and reads with, over one client of Redis."""

import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import Request
from redis.asyncio import Redis

from errand.api.request_intake import Intake
from errand.contract.job import Job
from errand.contract.load import list_queues
from errand.redis.clock import Clock
from errand.redis.connection import API, BODIES, LOOK, Connector
from errand.redis.failover import Failover, renew, renew_async
from errand.redis.server import WriteProbe
from errand.store.batch import BatchReader
from errand.store.bodies import BodyStore
from errand.store.bulk.bulk import BulkJobs
from errand.store.cancel import Canceller
from errand.store.dead_letters import DeadLetters
from errand.store.delete import Deleter
from errand.store.enqueue import Enqueuer
from errand.store.index import JobIndex
from errand.store.observe.observe import Observe, build_observe
from errand.store.queues import Queues
from errand.store.requeue import Requeuer
from errand.store.schedules.schedules import Schedules
from errand.store.settings import LifetimeSettings
from errand.store.status import StatusReader
from errand.store.watch.watcher import Watcher
from errand.store.workers import WorkerReader
from errand.webhook.webhooks import Webhooks

logger = logging.getLogger("errand.api")


@dataclass(frozen=True)
class RedisAccess:
    """The Redis server as the application reaches it.

    `failover` finds that the clients lead elsewhere, `probe` that writes are refused.
    """

    redis: Redis
    failover: Failover
    probe: WriteProbe


@dataclass(frozen=True)
class JobChanges:
    """What requeues, cancels and deletes jobs: one of them, many that a filter finds, or dead letters."""

    requeuer: Requeuer
    canceller: Canceller
    deleter: Deleter
    bulk: BulkJobs
    dead_letters: DeadLetters


@dataclass(frozen=True)
class Store:
    """What the application stores and reads with, over one client of Redis.

    `clock` has Redis' time; `intake` takes in what requests post; `observe` reads what happened to jobs.
    """

    types: dict[str, Job[..., Any]]
    server: RedisAccess
    clock: Clock
    enqueuer: Enqueuer
    intake: Intake
    jobs: StatusReader
    index: JobIndex
    batches: BatchReader
    changes: JobChanges
    schedules: Schedules
    queues: Queues
    workers: WorkerReader
    webhooks: Webhooks
    watcher: Watcher
    observe: Observe


def build_store(connector: Connector, queue: LifetimeSettings, types: dict[str, Job[..., Any]]) -> Store:
    """Return what stores and reads over `connector`; nothing is sent yet."""
    redis = connector.connect_async(API)
    clock = Clock(logger.warning)
    enqueuer = Enqueuer(redis, queue, types, clock)
    index = JobIndex(redis, (job.queue.name for job in types.values()))
    webhooks = Webhooks(types)
    observe = build_observe(redis, clock, types)
    watcher = Watcher(redis, StatusReader(redis, with_lines=True), BatchReader(redis, queue))
    bodies = BodyStore(connector.connect(BODIES), clock)
    failover = Failover(connector.connect_async(LOOK))
    failover.leaves += [partial(renew_async, redis), watcher.listen_anew, partial(renew, bodies.redis)]
    requeuer = Requeuer(redis, enqueuer.memory)
    canceller, deleter = Canceller(redis, queue, webhooks.values), Deleter(redis, queue, webhooks.values)
    changes = JobChanges(
        requeuer,
        canceller,
        deleter,
        BulkJobs(index, requeuer, canceller, deleter),
        DeadLetters(index, requeuer, deleter, clock, observe.failures),
    )
    return Store(
        types,
        RedisAccess(redis, failover, WriteProbe(redis)),
        clock,
        enqueuer,
        intake=Intake(bodies, enqueuer.memory),
        jobs=StatusReader(redis),
        index=index,
        batches=BatchReader(redis, queue),
        changes=changes,
        schedules=Schedules(redis, enqueuer.builder, enqueuer.memory, types),
        queues=Queues(redis, [one.name for one in list_queues(types)], clock),
        workers=WorkerReader(redis, clock),
        webhooks=webhooks,
        watcher=watcher,
        observe=observe,
    )


def get_store(request: Request) -> Store:
    """Return what the application stores and reads with."""
    store: Store = request.app.state.store
    return store
