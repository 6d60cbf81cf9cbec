"""`/console`: its pages, as an application of their own inside the API."""

from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from errand.api.console.access.guard import Guard
from errand.api.console.access.login import Login
from errand.api.console.access.session import Sessions
from errand.api.console.changes import batches as batch_changes
from errand.api.console.changes import job as job_changes
from errand.api.console.changes import jobs as jobs_changes
from errand.api.console.changes import new as new_changes
from errand.api.console.changes import queues as queue_changes
from errand.api.console.changes import rerun as rerun_changes
from errand.api.console.changes import schedules as schedule_changes
from errand.api.console.endpoints import Answer, Endpoints
from errand.api.console.files import send_file
from errand.api.console.mail.folder import Mails
from errand.api.console.page import View
from errand.api.console.render import PATH, Renderer
from errand.api.console.search import search
from errand.api.console.views import mail
from errand.api.console.views.batch import batch
from errand.api.console.views.batches import batches
from errand.api.console.views.bulk import bulk
from errand.api.console.views.edit import edit
from errand.api.console.views.help import help_page
from errand.api.console.views.job import job, send_part
from errand.api.console.views.jobs import jobs
from errand.api.console.views.new import new, new_job
from errand.api.console.views.overview import overview
from errand.api.console.views.queues import queues
from errand.api.console.views.schedule import schedule
from errand.api.console.views.schedule_form import edit_schedule, new_schedule
from errand.api.console.views.schedules import schedules
from errand.api.console.views.stats import send_stats
from errand.api.console.views.workers import workers
from errand.api.http.methods import RefuseMethod
from errand.api.settings import ApiSettings
from errand.api.wrong_passwords import WrongPasswords

# All pages, in the order in which their paths are tried; other answers; what buttons do.
VIEWS = [
    overview,
    jobs,
    bulk,
    job,
    batches,
    batch,
    schedules,
    schedule,
    new_schedule,
    edit_schedule,
    edit,
    new,
    new_job,
    queues,
    workers,
    help_page,
]
ANSWERS = [
    ("stats", "/stats/{period}", send_stats),
    ("raw", "/jobs/{id}/raw/{part}", send_part),
]
ACTIONS = [
    *batch_changes.ACTIONS,
    *queue_changes.ACTIONS,
    *schedule_changes.ACTIONS,
    *job_changes.ACTIONS,
    *rerun_changes.ACTIONS,
    *new_changes.ACTIONS,
    *jobs_changes.ACTIONS,
]


def mount(app: FastAPI, settings: ApiSettings) -> None:
    """Add the console where it may be shown: with a password, or under `errand up` on loopback."""
    if not (settings.dashboard_password or settings.console_read_password or settings.local):
        return
    console = build_console(settings, app.state.wrong_passwords)
    app.router.routes.append(Route(PATH, PathWithoutSlash(console), name="console"))
    app.mount(PATH, console)


def build_console(settings: ApiSettings, tries: WrongPasswords) -> Guard:
    """Return the console, over the store of the application that it is mounted in."""
    console, sessions = Starlette(), Sessions(settings)
    mails = Mails(Path(settings.mail_folder)) if settings.mail_folder else None
    views, answers = [*VIEWS, *(mail.VIEWS if mails else ())], [*ANSWERS, *(mail.ANSWERS if mails else ())]
    renderer = Renderer(console.router, {view.name: view for view in views})
    endpoints = Endpoints(renderer, mails)
    console.router.routes.extend(_list_routes(endpoints, Login(renderer, sessions, tries), views, answers))
    console.add_exception_handler(HTTPException, endpoints.show_problem)
    return Guard(console, sessions, PATH)


def _list_routes(
    endpoints: Endpoints, login: Login, views: Sequence[View], answers: Sequence[tuple[str, str, Answer]]
) -> Sequence[BaseRoute]:
    return [
        Route("/static/{digest}/{name}", send_file, name="file"),
        Route("/login", login.show, name="login"),
        Route("/login", login.sign_in, methods=["POST"]),
        Route("/logout", login.sign_out, methods=["POST"], name="logout"),
        Route("/search", endpoints.open(search), name="search"),
        *(Route(path, endpoints.open(answer, is_page=False), name=name) for name, path, answer in answers),
        *(Route(one.path, endpoints.change(one), methods=["POST"], name=one.name) for one in ACTIONS),
        *(Route(path, RefuseMethod()) for path in _list_buttons(views)),
        *(Route(f"/live{one.path}", endpoints.stream(one), name=f"live-{one.name}") for one in views),
        *(Route(one.path or "/", endpoints.show(one), name=one.name) for one in views),
    ]


def _list_buttons(views: Sequence[View]) -> list[str]:
    """Return the paths that only buttons have, so that nobody who opens `/jobs/ask` is shown a job «ask»."""
    pages = {view.path for view in views}
    return [one.path for one in ACTIONS if one.path not in pages]


class PathWithoutSlash:
    """Serves the console at its path without a slash at the end, which a mount does not match."""

    def __init__(self, console: ASGIApp) -> None:
        self._console = console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        inside = {"root_path": scope.get("root_path", "") + PATH, "path": f"{scope['path']}/"}
        await self._console({**scope, **inside}, receive, send)
