"""`errand attempts`: how each run of a job went."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from errand.cli.client.http import job_path
from errand.cli.command import ask_service, print_json
from errand.cli.moment import show_span, show_time
from errand.cli.options import JsonOut
from errand.cli.plain import make_plain
from errand.cli.render import STYLES, describe_error, make_console

STYLE = STYLES | {"interrupted": "yellow", "lost": "bold red"}

Full = Annotated[bool, typer.Option("--full", help="Show tracebacks as Python wrote them, with the libraries' frames.")]


def attempts(
    id: Annotated[str, typer.Argument(metavar="ID", help="A job.")], full: Full = False, as_json: JsonOut = False
) -> None:
    """Show how a job's attempts went, the oldest first: the error, the job's own frames, how many are folded."""
    with ask_service() as service:
        query = {"full": "true" if full else None}
        items = service.get(job_path(id, "/attempts"), query.items())["items"]
        if as_json:
            print_json(*items)
        elif not items:
            typer.echo("it has not started", err=True)
        else:
            console = make_console()
            for line in _describe_all(items, full):
                console.print(line, soft_wrap=True)


def _describe_all(items: list[dict[str, Any]], full: bool) -> Iterator[Text]:
    """Yield the lines of all attempts; for a repeated traceback, the number of the attempt that had it."""
    first: dict[str, int] = {}
    for attempt in items:
        known = first.setdefault(attempt.get("traceback") or "", attempt["number"])
        again = known if attempt.get("traceback") and known != attempt["number"] else None
        yield from _describe(attempt, full, again)


def _describe(attempt: dict[str, Any], full: bool, again: int | None) -> Iterator[Text]:
    word = make_plain(attempt["outcome"] or "running")
    yield Text.assemble(
        (f"attempt {attempt['number']}  ", "bold"), (word, STYLE.get(word, "")), _describe_times(attempt)
    )
    error = describe_error(attempt)
    text = f"{error} (as in attempt {again})" if again else attempt.get("traceback") or error
    for number, line in enumerate(make_plain(text, lines=True).splitlines()):
        style = "red" if number == 0 and not full else "dim" if line.lstrip().startswith("…") else ""
        yield Text(f"  {line}".rstrip(), style)


def _describe_times(attempt: dict[str, Any]) -> str:
    """Return when it started, for how long it ran, and where."""
    started, ended = attempt.get("started_at"), attempt.get("ended_at")
    parts = [show_time(started)] if started else []
    if started and ended:
        seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
        parts.append(f"for {seconds:.3f} s" if 0 <= seconds < 10 else f"for {show_span(abs(seconds))}")
    if attempt.get("worker"):
        parts.append(f"on {make_plain(attempt['worker'])}")
    return "".join(f"  {part}" for part in parts)
