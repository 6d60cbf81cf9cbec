"""Lists and actions in place of the dashboard's own: right on every page, and none stops half-way."""

from contextlib import suppress
from typing import Any

import redis
import rq_dashboard.web as web
from flask import current_app, jsonify
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job
from rq.registry import (
    BaseRegistry,
    CanceledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)

from errand.api.dashboard.rq_classes import AWAY, DAMAGE, JSONJob, JSONQueue, is_damage
from errand.redis.lua.loader import read_script
from errand.store.requeue import build_args

REGISTRIES: dict[str, type[BaseRegistry]] = {
    "canceled": CanceledJobRegistry,
    "deferred": DeferredJobRegistry,
    "failed": FailedJobRegistry,
    "finished": FinishedJobRegistry,
    "scheduled": ScheduledJobRegistry,
    "started": StartedJobRegistry,
}


def requeue(job_id: str, connection: Any) -> Job:
    """Requeue a failed job as the API does; RQ leaves it no retries. Raises InvalidJobOperation."""
    job = JSONJob.fetch(job_id, connection=connection)
    script = connection.register_script(read_script("store/requeue"))
    (outcome,) = script(args=build_args([job_id], ["failed", "stopped"]))
    if outcome:
        raise InvalidJobOperation(outcome.decode(errors="replace"))
    return job


def read_page(
    queue_name: str, registry_name: str, offset: int, per_page: int, order: str, connection: Any
) -> tuple[int, list[dict[str, Any]]]:
    """Return how many jobs a list has, and one page of them; of a list that is damaged a row that says so."""
    try:
        return _read_page(queue_name, registry_name, offset, per_page, order, connection)
    except redis.ResponseError as error:
        if not is_damage(error):
            raise
        return 1, [{"id": "-", "created_at": None, "description": f"This list is damaged: {error}"}]


def _read_page(
    queue_name: str, registry_name: str, offset: int, per_page: int, order: str, connection: Any
) -> tuple[int, list[dict[str, Any]]]:
    queue = JSONQueue(queue_name, connection=connection)
    if registry_name == "queued":
        listed, total = queue.key, queue.count
    else:
        registry = REGISTRIES[registry_name](queue=queue)
        listed, total = registry.key, registry.get_job_count(cleanup=False)
    start, stop = offset, min(offset + per_page, total)
    if order == "dsc":
        start, stop = max(0, total - offset - per_page), total - offset
    if stop <= start:
        return total, []
    read = connection.lrange if registry_name == "queued" else connection.zrange
    ids = [_read_id(entry) for entry in read(listed, start, stop - 1)]
    jobs = [_show(id, connection) for id in (reversed(ids) if order == "dsc" else ids)]
    return total, [job for job in jobs if job]


def _read_id(entry: bytes) -> str:
    return entry.decode(errors="replace").partition(":")[0]  # running ones are listed as job:execution


def _show(job_id: str, connection: Any) -> dict[str, Any] | None:
    try:
        shown: dict[str, Any] = web.serialize_job(JSONJob.fetch(job_id, connection=connection))
        return shown
    except NoSuchJobError:
        return None
    except AWAY:
        raise
    except Exception as error:  # one damaged record must not hide the others
        return {"id": job_id, "created_at": None, "description": f"damaged record: {error}"}


def delete(job_id: str) -> Any:
    """Delete a job; of a damaged one only the record, after which lists pass over its id."""
    connection = current_app.redis_conn  # type: ignore[attr-defined]
    try:
        JSONJob.fetch(job_id, connection=connection).delete()
    except NoSuchJobError:
        return jsonify(status="ERROR")
    except DAMAGE:
        connection.delete(JSONJob.key_for(job_id))
    return jsonify(status="OK")


def requeue_all(queue_name: str) -> Any:
    """Requeue what failed; a job that is gone, damaged or no longer failed stops none of the others."""
    connection, count = current_app.redis_conn, 0  # type: ignore[attr-defined]
    for entry in connection.zrange(FailedJobRegistry(queue_name, connection).key, 0, -1):
        with suppress(NoSuchJobError, InvalidJobOperation, *DAMAGE):
            requeue(_read_id(entry), connection)
            count += 1
    return jsonify(status="OK", count=count)


def empty(queue_name: str, registry_name: str) -> Any:
    """Delete a list's jobs, and what is left of those that are gone or damaged."""
    connection = current_app.redis_conn  # type: ignore[attr-defined]
    if registry_name == "queued":
        JSONQueue(queue_name, connection=connection).empty()  # type: ignore[no-untyped-call]
        return jsonify(status="OK")
    key = REGISTRIES[registry_name](queue_name, connection).key
    for entry in connection.zrange(key, 0, -1):
        id = _read_id(entry)
        with suppress(NoSuchJobError, *DAMAGE):
            JSONJob.fetch(id, connection=connection).delete()
        with connection.pipeline() as pipeline:
            pipeline.delete(JSONJob.key_for(id)).zrem(key, entry).execute()
    return jsonify(status="OK")
