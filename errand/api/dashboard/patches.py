"""rq-dashboard 0.9.0, mended from outside to work on rq 3.0.

Without this, it reads jobs as pickle, which runs what is in them; pages answer 500 for a job with a dependency, for a
missing or damaged job and for a running JSON job; text from a job becomes markup, a queue's name in the address becomes
script; page 2 of a list shows twice the rows, page 0 the last ones; a GET requeues; one job that
is gone stops "requeue all" and "empty" half-way; `compact` takes the queue apart, and what it holds is lost when the
process ends meanwhile; a Redis that is away is a 200; each request opens a connection to Redis; a key of a wrong type
is a 500 for all queues; a queue is there from its first job on; the page of jobs opens on an empty queue; a job shows
nothing of what it was posted with.
"""

import logging
from collections.abc import Mapping
from typing import Any

import redis
import rq_dashboard.web as web
from flask import Flask, Response, abort, current_app, request
from jinja2 import BaseLoader, Environment
from redis.exceptions import RedisError
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import JOB_ID_PATTERN
from rq.serializers import JSONSerializer

from errand.api.dashboard.job_page import ShownJob, describe
from errand.api.dashboard.queues import ListedQueue, serialize_queues, show_jobs
from errand.api.dashboard.rq_classes import DAMAGE, JSONWorker, is_damage
from errand.api.dashboard.views import REGISTRIES, delete, empty, read_page, requeue, requeue_all
from errand.contract.job import Job
from errand.redis.connection import DASHBOARD, Connector, UrlConnector

logger = logging.getLogger("errand.api")

PER_PAGE_LIMIT = 200  # as the field on its page says
DAMAGED = ("This can't be shown or done: a record is damaged.", 409)
VIEWS: dict[str, Any] = {
    "delete_job_view": delete,
    "requeue_all": requeue_all,
    "empty_queue": empty,
    "jobs_overview": show_jobs,
}
# Its templates need inline scripts and underscore's compiler; nothing else is let in.
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; script-src-attr 'none'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def build_dashboard(
    redis_url: str, types: Mapping[str, Job[..., Any]], connector: Connector | None = None
) -> "DashboardApp":
    """Return the dashboard of an application's job types as a WSGI application with one pool of connections."""
    app = DashboardApp("rq_dashboard")  # its static files are found by this name
    app.config.update(
        RQ_DASHBOARD_REDIS_URL=(_hide_secrets(redis_url),),  # each page shows it
        RQ_DASHBOARD_POLL_INTERVAL=2000,
        MAX_CONTENT_LENGTH=64 * 1024,
    )
    app.types = types
    app.redis_conn = (connector or UrlConnector(redis_url)).connect(DASHBOARD)
    web.config.serializer = JSONSerializer
    web.Job, web.Queue, web.Worker = ShownJob, ListedQueue, JSONWorker
    web.format_job_description, web.serialize_queues = describe, serialize_queues
    web.from_url = _reuse_connection
    web.requeue_job = requeue
    web.get_queue_registry_jobs_count = read_page
    web.RedisConnectionError = ()  # it catches this error on one page, and answers 200
    app.url_map.redirect_defaults = app.url_map.strict_slashes = False  # they redirect to http:// behind a TLS proxy
    app.register_blueprint(web.blueprint)
    for name, view in VIEWS.items():
        app.view_functions[f"rq_dashboard.{name}"] = view
    app.before_request(_refuse_get_requeue)
    app.before_request(_refuse_unknown)
    app.after_request(_add_policy)
    _answer_errors(app)
    return app


def _hide_secrets(url: str) -> str:
    """Return the URL without password and options; by itself it shows `?password=` and what follows an @ in one."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _answer_errors(app: Flask) -> None:
    for kinds, text, status in (
        ((NoSuchJobError, LookupError), "There is no such job or server.", 404),
        ((InvalidJobOperation,), "That can't be done with a job in this state.", 409),
        (DAMAGE, *DAMAGED),
        ((RedisError,), "Redis can't be reached, or refuses, at the moment.", 503),
    ):

        def answer(error: Exception, text: str = text, status: int = status) -> tuple[str, int]:
            if is_damage(error):  # a fault of ours may look the same, so it is logged with its traceback
                text, status = DAMAGED
                logger.warning("Dashboard: %s %s: a damaged record?", request.method, request.path, exc_info=error)
            return text, status

        for kind in kinds:
            app.register_error_handler(kind, answer)


class EscapingLoader(BaseLoader):
    """Rewrites its templates' `<%=`, which prints as it is, to underscore's escaping `<%-`."""

    def __init__(self, inner: BaseLoader) -> None:
        self._inner = inner

    def get_source(self, environment: Environment, template: str) -> Any:
        """Return one template."""
        source, *rest = self._inner.get_source(environment, template)
        escaped = "<%= $('<div/>').text("  # these escape by themselves
        source = source.replace(escaped, "\0").replace("<%=", "<%-").replace("\0", escaped)
        source = source.replace("'{{ queue.name }}'", "{{ queue.name|tojson }}")  # in a script, where nothing escapes
        return source, *rest


class DashboardApp(Flask):
    """The Flask application around its blueprint."""

    redis_conn: "redis.Redis"
    types: Mapping[str, Job[..., Any]]

    def create_global_jinja_loader(self) -> Any:
        """Return Flask's loader, with escaping."""
        return EscapingLoader(super().create_global_jinja_loader())


def _reuse_connection(*args: Any, **options: Any) -> tuple[None, Any]:
    return None, current_app.redis_conn  # type: ignore[attr-defined]


def _refuse_unknown() -> None:
    """Answer 404 where there is no such list, page or job id; by itself it shows an empty list or the wrong rows."""
    asked = request.view_args or {}
    counts = {name: str(asked[name]) for name in ("page", "per_page") if name in asked}
    if not all(count.isdecimal() and int(count) > 0 for count in counts.values()):
        abort(404, "Pages, and the jobs on each, are counted from 1.")
    if int(counts.get("per_page", 1)) > PER_PAGE_LIMIT:
        abort(404, f"A page has at most {PER_PAGE_LIMIT} jobs.")
    if asked.get("registry_name", "queued") not in ("queued", *REGISTRIES) or asked.get("order", "asc") not in (
        "asc",
        "dsc",
    ):
        abort(404, "There is no such list or order.")
    if not JOB_ID_PATTERN.fullmatch(asked.get("job_id", "-")):
        abort(404, "There is no such job.")


def _refuse_get_requeue() -> None:
    if (request.endpoint or "").endswith("requeue_all") and request.method != "POST":
        abort(405)


def _add_policy(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    return response
