"""rq-dashboard 0.9.0, made whole on rq 3.0 from outside.

What it does by itself: it reads jobs as pickle, which runs what is in them; pages answer 500 for a job with a
dependency, for a missing or damaged job and for a running JSON job; text from a job becomes markup; page 2 of a list
shows twice the rows; a GET requeues; each request opens a connection to Redis.
"""

from typing import Any

import redis
import rq_dashboard.web as web
from flask import Flask, Response, abort, current_app, request
from jinja2 import BaseLoader, Environment
from redis.exceptions import RedisError
from rq import Queue, Worker
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
from rq.serializers import JSONSerializer

REGISTRIES: dict[str, type[BaseRegistry]] = {
    "canceled": CanceledJobRegistry,
    "deferred": DeferredJobRegistry,
    "failed": FailedJobRegistry,
    "finished": FinishedJobRegistry,
    "scheduled": ScheduledJobRegistry,
    "started": StartedJobRegistry,
}
# Its templates need inline scripts and underscore's compiler; nothing else is let in.
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; script-src-attr 'none'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def build_dashboard(redis_url: str) -> Flask:
    """Return the dashboard as a WSGI application with one pool of connections."""
    app = DashboardApp("rq_dashboard")  # its static files are found by this name
    app.config.update(
        RQ_DASHBOARD_REDIS_URL=(redis_url,), RQ_DASHBOARD_POLL_INTERVAL=2000, MAX_CONTENT_LENGTH=64 * 1024
    )
    app.redis_conn = redis.Redis.from_url(redis_url, socket_timeout=5, socket_connect_timeout=2)
    web.config.serializer = JSONSerializer
    web.Job, web.Worker = JSONJob, JSONWorker
    web.from_url = _reuse_connection
    web.requeue_job = _requeue
    web.get_queue_registry_jobs_count = _read_page
    app.register_blueprint(web.blueprint)
    app.before_request(_refuse_get_requeue)
    app.after_request(_add_policy)
    for kinds, text, status in (
        ((NoSuchJobError, LookupError), "There is no such job, queue or server.", 404),
        ((InvalidJobOperation, ZeroDivisionError, ValueError), "That can't be done with this job or page.", 409),
        ((RedisError,), "Redis can't be reached at the moment.", 503),
    ):
        for kind in kinds:
            app.register_error_handler(kind, lambda error, answer=(text, status): answer)
    return app


class EscapingLoader(BaseLoader):
    """Rewrites its templates' `<%=`, which prints as it is, to underscore's escaping `<%-`."""

    def __init__(self, inner: BaseLoader) -> None:
        self._inner = inner

    def get_source(self, environment: Environment, template: str) -> Any:
        """Return one template."""
        source, *rest = self._inner.get_source(environment, template)
        escaped = "<%= $('<div/>').text("  # these escape by themselves
        source = source.replace(escaped, "\0").replace("<%=", "<%-").replace("\0", escaped)
        return source, *rest


class DashboardApp(Flask):
    """The Flask application around its blueprint."""

    redis_conn: "redis.Redis"

    def create_global_jinja_loader(self) -> Any:
        """Return Flask's loader, with escaping."""
        return EscapingLoader(super().create_global_jinja_loader())


class JSONJob(Job):
    """RQ's job, read as JSON whoever asks."""

    def __init__(self, id: str | None = None, connection: Any = None, serializer: Any = None) -> None:
        super().__init__(id, connection, JSONSerializer)

    @property
    def dependency_ids(self) -> list[Any]:
        """The ids as bytes, which the dashboard decodes."""
        return [id.encode() for id in super().dependency_ids]


class JSONWorker(Worker):
    """RQ's worker as the dashboard reads it."""

    @classmethod
    def all(cls, *args: Any, **options: Any) -> Any:
        """Return every worker, its jobs read as JSON."""
        return super().all(*args, **{**options, "serializer": JSONSerializer, "job_class": JSONJob})

    def _set_connection(self, connection: Any) -> Any:
        return connection  # RQ would set this pool's time-out to 415 s


def _reuse_connection(*args: Any, **options: Any) -> tuple[None, Any]:
    return None, current_app.redis_conn  # type: ignore[attr-defined]


def _requeue(job_id: str, connection: Any) -> Job:
    """Requeue a failed job with its retries given back; RQ leaves it none."""
    job = JSONJob.fetch(job_id, connection=connection)
    if job.retries_left is not None:
        job.retries_left = len(job.retry_intervals or ())
    return job.requeue()


def _read_page(
    queue_name: str, registry_name: str, offset: int, per_page: int, order: str, connection: Any
) -> tuple[int, list[dict[str, Any]]]:
    """Return how many jobs a list has, and one page of them."""
    queue = Queue(queue_name, connection=connection, job_class=JSONJob, serializer=JSONSerializer)
    if registry_name == "queued":
        listed, total = queue.key, queue.count
    else:
        registry = REGISTRIES[registry_name](queue=queue)
        listed, total = registry.key, registry.get_job_count(cleanup=False)
    start, stop = (max(0, total - offset - per_page), total - offset) if order == "dsc" else (offset, offset + per_page)
    if stop <= start:
        return total, []
    read = connection.lrange if registry_name == "queued" else connection.zrange
    ids = [entry.decode().partition(":")[0] for entry in read(listed, start, stop - 1)]
    jobs = [_show(id, connection) for id in (reversed(ids) if order == "dsc" else ids)]
    return total, [job for job in jobs if job]


def _show(job_id: str, connection: Any) -> dict[str, Any] | None:
    try:
        shown: dict[str, Any] = web.serialize_job(JSONJob.fetch(job_id, connection=connection))
        return shown
    except NoSuchJobError:
        return None
    except (ValueError, TypeError, AttributeError) as error:  # one damaged record must not hide the others
        return {"id": job_id, "created_at": None, "description": f"damaged record: {error}"}


def _refuse_get_requeue() -> None:
    if (request.endpoint or "").endswith("requeue_all") and request.method != "POST":
        abort(405)


def _add_policy(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    return response
