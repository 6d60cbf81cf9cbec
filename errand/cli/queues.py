"""`errand queues`: what waits, runs and has failed in each queue."""

import time
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from errand.cli.client.http import ServiceClient
from errand.cli.client.problem import AwayError
from errand.cli.command import EXITS, ask_service, do_each, print_json
from errand.cli.moment import show_span
from errand.cli.options import JsonOut
from errand.cli.plain import make_plain
from errand.cli.render import STYLES, build_table, make_console, print_table

REFRESH_SECONDS = 1.0  # a person notices nothing faster, and a light request for the service
COUNTS = ("queued", "started", "scheduled", "deferred")
RARE = ("ready_to_enqueue", "rate_limited")  # these have a column only where there are any

app = typer.Typer(
    help="Show the queues, live on a terminal until Ctrl-C; pause, resume.", invoke_without_command=True, epilog=EXITS
)

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Queues.")]


@app.callback()
def show(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Show them once, as without a terminal.")] = False,
    as_json: JsonOut = False,
) -> None:
    """Show the queues, live on a terminal until Ctrl-C; pause, resume."""
    if context.invoked_subcommand:
        return
    with ask_service() as service:
        console = make_console()
        if as_json:
            print_json(*_read(service))
        elif once or not console.is_terminal or console.is_dumb_terminal:
            print_table(*_describe(_read(service)))
        else:
            _show_live(service)


@app.command(epilog=EXITS)
def pause(names: Names, as_json: JsonOut = False) -> None:
    """Let no worker take jobs from a queue; those that run finish."""
    _change(names, "pause", as_json)


@app.command(epilog=EXITS)
def resume(names: Names, as_json: JsonOut = False) -> None:
    """Let workers take jobs from a queue again."""
    _change(names, "resume", as_json)


def _change(names: list[str], word: str, as_json: bool) -> None:
    with ask_service() as service:

        def act(name: str) -> None:
            queue = service.send("POST", f"/v1/queues/{quote(name, safe='')}/{word}").body
            if as_json:
                print_json(queue)
            else:
                print(f"{make_plain(name)}  {word}d")

        do_each(names, act)


def _read(service: ServiceClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.get("/v1/queues")["items"]
    return found


def _show_live(service: ServiceClient) -> None:
    queues, note = _read(service), ""
    live = Live(console=make_console(), auto_refresh=False)
    try:  # not `with`: a Ctrl-C that comes while it starts would leave the cursor hidden
        live.start()
        while True:
            live.update(Group(build_table(*_describe(queues)), Text(note, "yellow")), refresh=True)
            time.sleep(REFRESH_SECONDS)
            try:
                queues, note = _read(service), ""
            except AwayError as error:  # it may come back; until then the last table stays
                note = f"{time.strftime('%H:%M:%S%z')}  {make_plain(error)}"
    finally:
        live.stop()


def _describe(queues: list[dict[str, Any]]) -> tuple[Sequence[str], list[list[Any]], Sequence[int]]:
    """Return the table's header, its rows, and which columns hold numbers."""
    rare = [name for name in RARE if any(queue["jobs"].get(name) for queue in queues)]
    rows = [
        [
            make_plain(queue["name"]),
            *(_show_count(queue["jobs"].get(name, 0)) for name in COUNTS),
            _show_count(queue.get("retrying", 0), STYLES["retrying"]),
            _show_count(queue["jobs"].get("failed", 0), STYLES["failed"]),
            *(_show_count(queue["jobs"].get(name, 0)) for name in rare),
            _show_wait(queue),
            make_plain(queue.get("newest_error") or ""),
            _show_state(queue),
        ]
        for queue in queues
    ]
    names = [*COUNTS, "retrying", "failed", *(name.replace("_", " ") for name in rare)]
    return ["queue", *names, "oldest", "error", ""], rows, range(1, len(names) + 2)


def _show_count(count: int, style: str = "") -> Text:
    return Text(f"{count:,}", style) if count else Text("·", "dim")


def _show_wait(queue: dict[str, Any]) -> str:
    seconds = queue.get("oldest_seconds")
    return "" if seconds is None else show_span(seconds)


def _show_state(queue: dict[str, Any]) -> Text:
    """Return what holds a queue up: a pause, no worker, types whose jobs wait."""
    words = [_show_pause(queue)] if queue["paused"] else []
    why = queue.get("why") or {}
    if why.get("verdict") in ("rq_suspended", "no_worker"):
        words.append(make_plain(why["reason"]))
    for one in queue.get("waiting", []):
        since = f" (since {one['since']})" if one.get("since") else ""
        words.append(make_plain(f"{one['jobs']:,} {one['type']}: {one['reason']}{since}"))
    return Text("; ".join(words), STYLES["paused"])


def _show_pause(queue: dict[str, Any]) -> str:
    if queue.get("state") == "draining":
        return "paused, draining"
    is_empty = queue.get("state") == "drained" and not queue["jobs"].get("queued")
    return "paused, drained" if is_empty else "paused"
