"""The console script `errand`, also `python -m service`."""

import os
import re
import sys
from typing import Annotated

import typer

from errand.cli import change, jobs, logs, mail, queues, schedules, send, stats, watch
from errand.cli.command import EXITS
from errand.cli.new import command as new
from errand.cli.observe import attempts, failures
from errand.cli.output import steady_streams
from errand.cli.run import up
from errand.cli.run import worker as worker_command
from errand.cli.run.up import Data, Host, Port, Target, add_this_folder, fail
from errand.local.settings import OUTSIDE, UpOptions, default_data
from errand.redis.environment import list_names, read_variable

# What runs a service is imported where it is used: FastAPI, RQ and Redis take half a second to import, and
# `errand status` needs none of them.

HERE, THERE = "Run a service", "Ask the service at ERRAND_URL, with ERRAND_KEY"
PLACE = "ERRAND_URL is http://127.0.0.1:8000 unless it is set."

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Errand: a lightweight job service on RQ.",
    epilog=f"{PLACE} {EXITS}",
)

AtWork = Annotated[bool, typer.Option("--worker", help="Only check whether a worker runs on this host.")]
DemoWorkers = Annotated[int, typer.Option(help="Worker processes.", min=1)]

app.command("up", rich_help_panel=HERE)(up.up)


@app.command(rich_help_panel=HERE)
def demo(host: Host = "127.0.0.1", port: Port = 8000, data: Data = None, workers: DemoWorkers = 1) -> None:
    """Run everything, and post what there is to look at: a batch, failures, a workflow, a schedule, delayed jobs.

    Nothing leaves this machine, whatever settings are in the environment.
    """
    inside = {name: value for name, value in os.environ.items() if name not in list_names(OUTSIDE)}
    up.run(UpOptions(host, port, data or default_data(port), workers), inside, demo=True)


@app.command(rich_help_panel=HERE)
def key(name: str) -> None:
    """Make an API key for NAME: print its secret, once, and the line to set."""
    from errand.api.http.auth import make_key

    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        fail("a key's name may hold letters, digits, _ . and -")
    secret, entry = make_key(name)
    before = read_variable("API_KEYS") or ""
    if name in [entry.strip().partition(":")[0] for entry in before.split(",")]:
        fail(f"API_KEYS has a key {name} already; take that entry out, or choose another name")
    print(f"Secret, shown only now: {secret}\n\nAPI_KEYS={before + ',' if before else ''}{entry}")


@app.command(rich_help_panel=HERE)
def check(target: Target = None, worker: AtWork = False) -> None:
    """Check the settings and Redis (exit 1 where they fail) and the mail server (a warning): for a release phase.

    With --worker only whether a worker runs on this host, for a container's health check.
    """
    import asyncio

    from errand.app.errand import Errand
    from errand.cli.check import check_everything, check_worker

    add_this_folder()
    errand = worker_command.find_errand(target) if target else Errand()
    if worker:
        line, sound = asyncio.run(check_worker(errand))
        lines = [line]
    else:  # an application without a mounted API has no callers who need a key
        has_api = target is None or "app" in errand.__dict__
        lines, sound = asyncio.run(check_everything(errand, has_api, has_service=target is None))
    print("\n".join(lines))
    sys.exit(not sound)


app.command("worker", rich_help_panel=HERE)(worker_command.worker)
app.command("new", rich_help_panel=HERE)(new.new)
for name, command in (
    ("send", send.send),
    ("status", jobs.status),
    ("watch", watch.watch),
    ("attempts", attempts.attempts),
    ("logs", logs.logs),
    ("list", jobs.list_jobs),
    ("cancel", change.cancel),
    ("requeue", change.requeue),
    ("delete", change.delete),
    ("stats", stats.stats),
):
    app.command(name, rich_help_panel=THERE, epilog=EXITS)(command)
app.add_typer(failures.app, name="failures", rich_help_panel=THERE)
app.add_typer(schedules.app, name="schedule", rich_help_panel=THERE)
app.add_typer(queues.app, name="queues", rich_help_panel=THERE)
app.add_typer(mail.app, name="mail", rich_help_panel=HERE)


# Packages that the commands that run a service import, and the extras of rq-errand that install them.
EXTRAS = {
    "fastapi": "api",
    "fastapi_offline": "api",
    "uvicorn": "api",
    "honcho": "api,dashboard,local",
    "aiosmtpd": "api,dashboard,local",
}


def main() -> None:
    """Run the command line."""
    steady_streams()
    try:
        app()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if extra := EXTRAS.get(missing):
            fail(f"{missing} is not installed, and this needs it: pip install 'rq-errand[{extra}]'")
        raise
