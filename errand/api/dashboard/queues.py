"""The dashboard's queues, also those of the job files, each with its counts; a damaged list says so in its cell."""

from collections.abc import Iterator, Sequence
from typing import Any

import rq_dashboard.web as web
from flask import current_app, url_for
from rq import Queue

from errand.api.dashboard.rq_classes import JSONQueue, is_damage, past_damage
from errand.api.dashboard.views import REGISTRIES
from errand.contract.load import list_queues
from errand.redis import keys

DAMAGED = "damaged"
LISTS = ("queued", *REGISTRIES)
# The list to open: the first of these that has jobs.
FIRST = (
    "queued",
    "started",
    "failed",
    "scheduled",
    "deferred",
    "finished",
    "canceled",
)
_show_jobs = web.jobs_overview


class ListedQueue(JSONQueue):
    """RQ's queue, with those that job files name known before their first job."""

    @classmethod
    def all(cls, connection: Any, *args: Any, **options: Any) -> list[Queue]:
        """Return every queue."""
        names = {queue.name for queue in list_queues(current_app.types)}  # type: ignore[attr-defined]
        with past_damage():
            stored = (key.decode(errors="replace") for key in connection.smembers(keys.QUEUES))
            names.update(key.removeprefix(keys.QUEUE) for key in stored)
        return [cls(name, connection=connection) for name in names]


def serialize_queues(instance_number: int, queues: Sequence[Queue]) -> list[dict[str, Any]]:
    """Return each queue's counts, and where its lists are, as rq-dashboard does."""
    return [
        {"name": queue.name, **dict(_name_cells(instance_number, queue.name, counts))}
        for queue, counts in zip(queues, _count(queues), strict=True)
    ]


def _name_cells(instance_number: int, queue: str, counts: dict[str, int | str]) -> Iterator[tuple[str, Any]]:
    for name, count in counts.items():
        yield ("count" if name == "queued" else f"{name}_job_registry_count"), count
        place: dict[str, Any] = {"queue_name": queue, "registry_name": name, "per_page": 8, "order": "asc", "page": 1}
        yield f"{name}_url", url_for("rq_dashboard.jobs_overview", instance_number=instance_number, **place)


def _count(queues: Sequence[Queue]) -> Iterator[dict[str, int | str]]:
    """Count all lists of all queues in one round trip. Raises RedisError."""
    with current_app.redis_conn.pipeline(transaction=False) as pipeline:  # type: ignore[attr-defined]
        for queue in queues:
            pipeline.llen(queue.key)
            for registry in REGISTRIES.values():
                pipeline.zcard(registry(queue=queue).key)
        counts = iter(pipeline.execute(raise_on_error=False))
    for _ in queues:
        yield {name: _read_count(next(counts)) for name in LISTS}


def _read_count(answer: int | Exception) -> int | str:
    if isinstance(answer, int):
        return answer
    if is_damage(answer):
        return DAMAGED
    raise answer


def show_jobs(instance_number: int, queue_name: str | None, registry_name: str, **place: Any) -> Any:
    """Return the page of a list; where none is named, of one that has jobs."""
    if queue_name is None:
        queue_name, registry_name = _find_jobs()
    return _show_jobs(instance_number=instance_number, queue_name=queue_name, registry_name=registry_name, **place)


def _find_jobs() -> tuple[str, str]:
    queues = sorted(ListedQueue.all(current_app.redis_conn))  # type: ignore[attr-defined]
    counted = list(zip(queues, _count(queues), strict=True))
    for registry in FIRST:
        for queue, counts in counted:
            if counts[registry] not in (0, DAMAGED):
                return queue.name, registry
    return "default", "queued"
