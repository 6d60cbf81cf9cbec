"""`errand worker`: a worker for the Errand of your own application."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from errand.app.errand import Errand

Target = Annotated[str, typer.Argument(metavar="MODULE:NAME", help="Where the Errand is: shop.main:errand.")]
Queue = Annotated[list[str] | None, typer.Option("--queue", "-q", help="Only this queue; may repeat.")]
Burst = Annotated[bool, typer.Option("--burst", help="End when nothing is left to do.")]


def worker(target: Target, queue: Queue = None, burst: Burst = False) -> None:
    """Run a worker for an application's Errand, until SIGTERM or Ctrl-C.

    As `rq worker -c MODULE -w MODULE.Worker` does, whose other options are rq's.
    """
    from redis import Redis

    config = find_errand(target).configure_worker()
    redis = Redis.from_url(config.redis_url)
    names: list[Any] = queue or config.queues
    config.worker_class(names, connection=redis).work(burst=burst, logging_level="INFO")


def find_errand(target: str) -> "Errand":
    """Return the Errand that «module:name» names. Ends the command with exit code 2 where there is none."""
    from errand.app import find

    try:
        return find.find_errand(target)
    except find.TargetError as error:
        raise typer.BadParameter(str(error)) from None
