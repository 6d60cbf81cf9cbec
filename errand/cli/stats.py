"""`errand stats`: how many jobs ended, and how long they waited and ran."""

from typing import Annotated, Any

import typer

from errand.cli.command import ask_service, print_json
from errand.cli.moment import read_past
from errand.cli.options import JsonOut, TypeFilter
from errand.cli.plain import make_plain
from errand.cli.render import print_table
from errand.redis.keys import ENDED

HEADER = ["type", *ENDED, "failed tries", "lost", "wait p50", "p95", "run p50", "p95"]

Since = Annotated[str, typer.Option(metavar="TIME", help="From this time on, or so long ago: 10m, 1d.")]


def stats(since: Since = "1h", type: TypeFilter = None, as_json: JsonOut = False) -> None:
    """Show by type how many jobs ended, and the median and 95th percentile of their waits and runs."""
    query = [("from", read_past(since, "--since")), *([("type", type)] if type else [])]
    with ask_service() as service:
        found = service.get("/v1/stats", query)
        if as_json:
            print_json(found)
        else:
            rows = [_describe(name, one) for name, one in found["total"].items()]
            print_table(HEADER, rows, range(1, len(HEADER)))


def _describe(name: str, found: dict[str, Any]) -> list[str]:
    attempts, waits, runs = found["attempts"], found["wait_seconds"], found["run_seconds"]
    counts = [*(found["ended"][outcome] for outcome in ENDED), attempts["failed"], attempts["lost"]]
    times = [waits["p50"], waits["p95"], runs["p50"], runs["p95"]]
    return [make_plain(name), *(f"{count:,}" if count else "·" for count in counts), *map(_show_seconds, times)]


def _show_seconds(seconds: float | None) -> str:
    """Return a time as exact as the service knows it: `12 ms`, `3.4 s`, `25 min`."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:.3g} min"
