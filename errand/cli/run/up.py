"""`errand up`: everything on this machine, for this folder's service or for an application of your own."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from errand.cli.options import take_groups
from errand.local.settings import UpOptions, default_data

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)]
Data = Annotated[Path | None, typer.Option(help="Folder for data and mail.", show_default=".errand")]
Target = Annotated[
    str | None,
    typer.Argument(metavar="MODULE:NAME", help="Your application's Errand: shop.main:errand.", show_default=False),
]


@dataclass(frozen=True)
class ApplicationOptions:
    """Which application of your own to run, and how."""

    target: Target = None
    app: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:NAME", help="Your application, if it is not 'app' or 'create_app' beside the Errand."
        ),
    ] = None
    no_web: Annotated[
        bool, typer.Option("--no-web", help="Serve no application: run only Redis, mail sink and workers.")
    ] = False
    reload: Annotated[
        bool, typer.Option("--reload", help="Restart your application and workers when a file changes.")
    ] = False


@dataclass(frozen=True)
class MachineOptions:
    """Where everything listens and keeps its data, and how many workers there are."""

    host: Host = "127.0.0.1"
    port: Port = 8000
    data: Data = None
    workers: Annotated[int, typer.Option(help="Worker processes; 0 for none.", min=0)] = 1


@take_groups
def up(own: ApplicationOptions, machine: MachineOptions) -> None:
    """Run everything on this machine, until Ctrl-C: Redis, a mail sink, the API, workers and the console.

    With MODULE:NAME for your own application: Redis, a mail sink, the application, and workers for its Errand.

    REDIS_URL, SMTP_URL and the other settings are used where they are set.
    """
    host, port, workers = machine.host, machine.port, machine.workers
    data = machine.data or default_data(port)
    if own.target is None:
        if own.app or own.no_web or own.reload:
            raise typer.BadParameter("--app, --no-web and --reload go with MODULE:NAME: errand up shop.main:errand")
        return run(UpOptions(host, port, data, workers), dict(os.environ), demo=False)
    if own.app and own.no_web:
        raise typer.BadParameter("give --app or --no-web, not both")
    add_this_folder()
    from errand.local.own_app.settings import OwnOptions
    from errand.local.own_app.up import run_own
    from errand.local.preflight import CannotStartError

    options = OwnOptions(host, port, data, workers, own.target, own.app, not own.no_web, own.reload)
    try:
        run_own(options, dict(os.environ))
    except CannotStartError as error:
        fail(str(error))


def run(options: UpOptions, environment: dict[str, str], demo: bool) -> None:
    """Run this folder's service. Ends the command with exit code 1 where it can't start."""
    add_this_folder()
    if missing := [name for name in ("service", "jobs") if not find_spec(name)]:
        fail(f"there is no {missing[0]}/ here; for an application of your own: errand up shop.main:errand")
    from errand.local.demo import run_demo
    from errand.local.preflight import CannotStartError
    from errand.local.up import run_up

    try:
        run_up(options, environment, run_demo if demo else _announce)
    except CannotStartError as error:
        fail(str(error))


def _announce(options: UpOptions, keep_valkey: Callable[[], None]) -> None:
    print("\nReady; what the processes say follows.\n", flush=True)


def add_this_folder() -> None:
    """Add this folder to the import path, as uvicorn and rq do: a console script has its own folder there."""
    sys.path.insert(0, os.getcwd())


def fail(text: str) -> NoReturn:
    """Print an error and end the command with exit code 1."""
    from errand.redis.settings import format_fault

    print(format_fault(text), file=sys.stderr)
    sys.exit(1)
