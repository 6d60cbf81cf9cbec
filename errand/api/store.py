"""What the application holds for its routes, built once by `build_api`."""

import logging
import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import Request
from redis.asyncio import Redis

from errand.api.http.intake import Intake
from errand.api.http.problems import Problem
from errand.contract.code import hash_codes
from errand.contract.job import Job
from errand.contract.load import list_queues
from errand.redis.clock import Clock
from errand.redis.connection import API, BODIES, LOOK, Connector
from errand.redis.failover import Failover, renew, renew_async
from errand.redis.server import WriteProbe
from errand.store.batch import BatchReader
from errand.store.batch_jobs import BatchJobReader
from errand.store.bodies import BodyStore
from errand.store.cancel import Canceller
from errand.store.dead_letters import DeadLetters
from errand.store.delete import Deleter
from errand.store.enqueue import Enqueuer
from errand.store.index import JobIndex
from errand.store.many.many import ManyJobs
from errand.store.observe.observe import Observe, build_observe
from errand.store.posted import PostedCodes
from errand.store.queues import Queues
from errand.store.requeue import Requeuer
from errand.store.schedules.schedules import Schedules
from errand.store.settings import LifetimeSettings
from errand.store.status import StatusReader
from errand.store.watch.watcher import Watcher
from errand.store.workers import WorkerReader
from errand.webhook.webhooks import Webhooks

logger = logging.getLogger("errand.api")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Store:
    """What stores and reads over one client of Redis, and what finds that the client leads elsewhere.

    `clock` tells Redis' time; `intake` lets large bodies in.
    """

    redis: Redis
    clock: Clock
    failover: Failover
    probe: WriteProbe
    types: dict[str, Job[..., Any]]
    enqueuer: Enqueuer
    requeuer: Requeuer
    jobs: StatusReader
    batches: BatchReader
    batch_jobs: BatchJobReader
    watcher: Watcher
    schedules: Schedules
    canceller: Canceller
    deleter: Deleter
    webhooks: Webhooks
    index: JobIndex
    dead_letters: DeadLetters
    many: ManyJobs
    queues: Queues
    workers: WorkerReader
    posted: PostedCodes
    bodies: BodyStore
    observe: Observe
    intake: Intake


def build_store(connector: Connector, queue: LifetimeSettings, types: dict[str, Job[..., Any]]) -> Store:
    """Return what stores and reads over `connector`; nothing is sent yet."""
    redis = connector.connect_async(API)
    clock = Clock(logger.warning)
    enqueuer = Enqueuer(redis, queue, types, clock)
    requeuer = Requeuer(redis, enqueuer.memory)
    index = JobIndex(redis, (job.queue.name for job in types.values()))
    webhooks = Webhooks(types)
    canceller, deleter = Canceller(redis, queue, webhooks.values), Deleter(redis, queue, webhooks.values)
    watcher = Watcher(redis, StatusReader(redis, with_lines=True), BatchReader(redis, queue))
    failover = Failover(connector.connect_async(LOOK))
    observe = build_observe(redis, clock, types)
    bodies = BodyStore(connector.connect(BODIES), clock)
    failover.leaves += [partial(renew_async, redis), watcher.listen_anew, partial(renew, bodies.redis)]
    return Store(
        redis,
        clock,
        failover,
        WriteProbe(redis),
        types,
        enqueuer,
        requeuer,
        StatusReader(redis),
        BatchReader(redis, queue),
        BatchJobReader(redis),
        watcher,
        canceller=canceller,
        deleter=deleter,
        index=index,
        dead_letters=DeadLetters(index, requeuer, deleter, clock, observe.failures),
        many=ManyJobs(index, requeuer, canceller, deleter),
        webhooks=webhooks,
        schedules=Schedules(redis, enqueuer.builder, enqueuer.memory, types),
        queues=Queues(redis, [one.name for one in list_queues(types)], clock),
        workers=WorkerReader(redis, clock),
        posted=PostedCodes(redis, hash_codes(types)),
        bodies=bodies,
        observe=observe,
        intake=Intake(),
    )


def get_store(request: Request) -> Store:
    """Return what the application stores and reads with."""
    store: Store = request.app.state.store
    return store


def check_id(id: str, kind: str) -> str:
    """Return an id that can exist. Raises Problem 404 for anything but a UUID."""
    if not _UUID.fullmatch(id):
        raise missing(id, kind)
    return id


def missing(id: str, kind: str) -> Problem:
    """Return the 404 for a job or a batch that is unknown or has expired."""
    return Problem(404, f"no-such-{kind}", f"There is no {kind} {id[:64]!r}; it may have expired")
