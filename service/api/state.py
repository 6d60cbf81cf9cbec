"""What the application holds for its routes, built once by `create_app`."""

import re
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from redis.asyncio import Redis

from jobs import Job
from service.api.problems import Problem
from service.queue.batch import BatchReader
from service.queue.cancel import Canceller
from service.queue.dead_letters import DeadLetters
from service.queue.delete import Deleter
from service.queue.enqueue import Enqueuer
from service.queue.index import JobIndex
from service.queue.queues import Queues
from service.queue.requeue import Requeuer
from service.queue.schedules import Schedules
from service.queue.status import StatusReader
from service.queue.watch import Watcher
from service.queue.webhook import Webhooks
from service.queue.workers import WorkerReader

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Road:
    """The road to Redis: one client and what stores and reads over it."""

    redis: Redis
    types: dict[str, Job[..., Any]]
    enqueuer: Enqueuer
    requeuer: Requeuer
    jobs: StatusReader
    batches: BatchReader
    watcher: Watcher
    schedules: Schedules
    canceller: Canceller
    deleter: Deleter
    webhooks: Webhooks
    index: JobIndex
    dead_letters: DeadLetters
    queues: Queues
    workers: WorkerReader


def get_road(request: Request) -> Road:
    """Return the application's road to Redis."""
    road: Road = request.app.state.road
    return road


def check_id(id: str, kind: str) -> str:
    """Return an id that can exist. Raises Problem 404 for anything but a UUID."""
    if not _UUID.fullmatch(id):
        raise missing(id, kind)
    return id


def missing(id: str, kind: str) -> Problem:
    """Return the 404 for a job or a batch that is unknown or has expired."""
    return Problem(404, f"no-such-{kind}", f"There is no {kind} {id[:64]!r}; it may have expired")
