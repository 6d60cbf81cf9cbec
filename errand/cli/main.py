"""The console script `errand`, also `python -m service`."""

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from errand.cli import change, jobs, logs, mail, queues, schedules, send, stats, watch
from errand.cli.command import EXITS
from errand.cli.observe import attempts, failures
from errand.cli.output import steady_outputs
from errand.cli.worker import find_errand
from errand.cli.worker import worker as run_worker
from errand.local.settings import OUTSIDE, UpOptions
from errand.redis.variables import list_names, read_variable

if TYPE_CHECKING:
    from errand.local.processes import Output

# What runs a service is imported where it is used: FastAPI, RQ and Redis take half a second, which `errand status` has
# no use for.

HERE, THERE = "Run a service", "Ask the service at ERRAND_URL, with ERRAND_KEY"
PLACE = "ERRAND_URL is http://127.0.0.1:8000 unless it is set."

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Errand: a lightweight job service on RQ.",
    epilog=f"{PLACE} {EXITS}",
)

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)]
Data = Annotated[Path | None, typer.Option(help="Folder for data and mail.", show_default=".errand")]
Workers = Annotated[int, typer.Option(help="Worker processes; 0 for none.", min=0)]
Application = Annotated[
    str | None,
    typer.Argument(metavar="MODULE:NAME", help="Where an application's own Errand is: shop.main:errand."),
]
AtWork = Annotated[bool, typer.Option("--worker", help="Only whether a worker is at work on this host.")]
DemoWorkers = Annotated[int, typer.Option(help="Worker processes.", min=1)]


@app.command(rich_help_panel=HERE)
def up(host: Host = "127.0.0.1", port: Port = 8000, data: Data = None, workers: Workers = 1) -> None:
    """Run everything on this machine, until Ctrl-C: Redis, a mail sink, the API, workers and the dashboard.

    REDIS_URL, SMTP_URL and the other settings are used where they are set.
    """
    _run(host, port, data, workers, dict(os.environ), demo=False)


@app.command(rich_help_panel=HERE)
def demo(host: Host = "127.0.0.1", port: Port = 8000, data: Data = None, workers: DemoWorkers = 1) -> None:
    """Run everything, post the tutorial's notification and a batch of e-mails, and draw their progress.

    Nothing leaves this machine, whatever settings are in the environment.
    """
    inside = {name: value for name, value in os.environ.items() if name not in list_names(OUTSIDE)}
    _run(host, port, data, workers, inside, demo=True)


@app.command(rich_help_panel=HERE)
def key(name: str) -> None:
    """Make an API key for NAME: print its secret, once, and the line to set."""
    from errand.api.http.auth import make_key

    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        _fail("a key's name may hold letters, digits, _ . and -")
    secret, entry = make_key(name)
    before = read_variable("API_KEYS") or ""
    if name in [entry.strip().partition(":")[0] for entry in before.split(",")]:
        _fail(f"API_KEYS has a key {name} already; take that entry out, or choose another name")
    print(f"Secret, shown only now: {secret}\n\nAPI_KEYS={before + ',' if before else ''}{entry}")


@app.command(rich_help_panel=HERE)
def check(target: Application = None, worker: AtWork = False) -> None:
    """Check the settings and Redis (exit 1 where they fail) and the mail server (a warning): for a release phase.

    With --worker only whether a worker runs on this host, for a container's health check.
    """
    import asyncio

    from errand.app.errand import Errand
    from errand.cli.check import check_everything, check_worker

    _find_application()
    errand = find_errand(target) if target else Errand()
    if worker:
        line, sound = asyncio.run(check_worker(errand))
        lines = [line]
    else:  # an application without a mounted API has no callers who need a key
        lines, sound = asyncio.run(check_everything(errand, has_api=not target or "app" in errand.__dict__))
    print("\n".join(lines))
    sys.exit(not sound)


app.command("worker", rich_help_panel=HERE)(run_worker)
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


def _run(host: str, port: int, data: Path | None, workers: int, environment: dict[str, str], demo: bool) -> None:
    _find_application()
    from errand.local.demo import run_demo
    from errand.local.preflight import CannotStartError
    from errand.local.up import default_data, run_up

    options = UpOptions(host, port, data or default_data(port), workers)
    try:
        run_up(options, environment, run_demo if demo else _announce)
    except CannotStartError as error:
        _fail(str(error))


def _announce(options: UpOptions, output: "Output") -> None:
    print("\nReady; what the processes say follows.\n", flush=True)


def _find_application() -> None:
    """Let job files be found in this folder, as uvicorn and rq find them: a console script looks elsewhere."""
    sys.path.insert(0, os.getcwd())


def _fail(text: str) -> None:
    from errand.redis.settings import tell

    print(tell(text), file=sys.stderr)
    sys.exit(1)


def main() -> None:
    """Run the command line."""
    steady_outputs()
    app()
