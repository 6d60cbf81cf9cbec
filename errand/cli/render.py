"""How answers look: tables and pages on a terminal, plain columns elsewhere."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from errand.cli.client.follow import View, has_ended, has_expired, is_batch
from errand.cli.moment import show_age, show_time
from errand.cli.plain import make_plain

STYLES = {
    "finished": "green",
    "started": "cyan",
    "failed": "bold red",
    "retrying": "yellow",
    "stopped": "red",
    "canceled": "red",
    "deleted": "red",
    "paused": "yellow",
    "scheduled": "blue",
    "rate_limited": "blue",
    "deferred": "dim",
}
GAP = 2  # blanks between two columns

Cell = str | Text


def make_console() -> Console:
    """Return rich's console for the standard output: without colour where it is no terminal."""
    return Console(highlight=False, markup=False, emoji=False, force_terminal=sys.stdout.isatty())


def style_status(status: str) -> Text:
    """Return a status word in its colour."""
    return Text(make_plain(status), STYLES.get(status, ""))


def print_table(header: Sequence[str], rows: Sequence[Sequence[Cell]], right: Sequence[int] = ()) -> None:
    """Print rows under a header, the columns `right` flush right; where there is no terminal nothing is cut."""
    console = make_console()
    if console.is_terminal:
        console.print(build_table(header, rows, right))
        return
    texts = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        cells = (
            text.rjust(width) if number in right else text.ljust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        print((" " * GAP).join(cells).rstrip())


def build_table(header: Sequence[str], rows: Sequence[Sequence[Cell]], right: Sequence[int] = ()) -> Table:
    """Return the table as a terminal shows it; the first column is never cut."""
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
    for number, name in enumerate(header):
        table.add_column(
            name,
            no_wrap=True,
            overflow="ellipsis",
            justify="right" if number in right else "left",
            min_width=max((len(str(row[0])) for row in rows), default=0) if number == 0 else None,
        )
    for row in rows:
        table.add_row(*row)
    return table


def print_page(title: Cell, fields: Sequence[tuple[str, Cell]]) -> None:
    """Print one thing: its title, and below it what is known of it, a field a line; empty ones are left out."""
    shown = [(name, value) for name, value in fields if str(value)]
    width = max((len(name) for name, _ in shown), default=0)
    console = make_console()
    if not console.is_terminal:
        print("\n".join([str(title), *(f"  {name:<{width}}  {value}" for name, value in shown)]))
        return
    grid = Table.grid(padding=(0, GAP))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in shown:
        grid.add_row(f"  {name}", value)
    console.print(title, soft_wrap=True)
    console.print(grid)


def print_view(view: View, why: str = "") -> None:
    """Print a job or a batch, and why it has not started."""
    fields = _list_batch_fields(view) if is_batch(view) else _list_job_fields(view, why)
    print_page(Text.assemble((make_plain(view["type"]), "bold"), " ", make_plain(view["id"])), fields)


def _list_job_fields(job: View, why: str = "") -> list[tuple[str, Cell]]:
    batch = str((job.get("links") or {}).get("batch", "")).rpartition("/")[2]
    return [
        ("status", Text.assemble(style_status(job["status"]), describe_end(job), describe_progress(job))),
        ("why", make_plain(why)),
        ("waits", "" if why else make_plain((job.get("waiting") or {}).get("reason", ""))),
        ("queue", make_plain(job["queue"])),
        ("created", show_moment(job.get("created_at"))),
        ("runs", show_moment(job.get("run_at"))),
        ("expires", "" if has_ended(job) else show_moment(job.get("expires_at"))),
        ("started", show_moment(job.get("started_at"))),
        ("ended", show_moment(job.get("ended_at"))),
        ("attempts", describe_attempts(job)),
        ("tags", make_plain(", ".join(job.get("tags") or []))),
        ("batch", make_plain(batch)),
        ("depends on", make_plain(", ".join(job.get("depends_on") or []))),
        ("dependents", make_plain(", ".join(f"{one['id']} ({one['status']})" for one in job.get("dependents") or []))),
        ("payload", show_value(job["payload"]) if "payload" in job else ""),
        ("result", "" if job.get("result") is None else show_value(job["result"])),
        ("error", Text(describe_error(job), "red")),
    ]


def _list_batch_fields(batch: View) -> list[tuple[str, Cell]]:
    counts = [(name, str(count)) for name, count in list_counts(batch)]
    return [
        ("jobs", f"{batch['total']:,}"),
        ("ended", f"{batch['percent']} %"),
        *counts,
        ("created", show_moment(batch.get("created_at"))),
    ]


def list_counts(batch: View) -> list[tuple[str, int]]:
    """Return the number of a batch's jobs by status, without statuses that no job has."""
    return [
        (name, count)
        for name, count in batch.items()
        if isinstance(count, int) and count and name not in ("total", "percent")
    ]


def describe_end(job: View) -> str:
    """Return what a job's status leaves out: that it was canceled because its time was over."""
    return ", expired" if has_expired(job) else ""


def describe_progress(job: View) -> str:
    """Return a job's progress and its last message, as in `, 66 %: sending`."""
    progress = job.get("progress") or {}
    percent = "" if progress.get("percent") is None else f", {progress['percent']:.0f} %"
    message = make_plain(progress.get("message") or "")
    return f"{percent}: {message}" if message else percent


def describe_attempts(job: View) -> str:
    """Return how often a job has started and how many retries are left, "" for one that has not started."""
    if not job.get("attempts"):
        return ""
    more = [
        f"{job.get(name)} {label}"
        for name, label in (("interruptions", "interrupted"), ("losses", "lost"))
        if job.get(name)
    ]
    return ", ".join([str(job["attempts"]), *more, f"{job.get('retries_left', 0)} retries left"])


def describe_error(job: View) -> str:
    """Return a job's error as `type: message`, "" for none."""
    error = job.get("error")
    return make_plain(f"{error.get('type')}: {error.get('message')}") if error else ""


def format_log_line(line: View) -> str:
    """Return a line that a job has logged or printed, with its time, its attempt, and its level or its stream."""
    printed = line["level"] == "print"
    level = line["logger"] if printed else line["level"]
    return f"{show_time(line['time'])}  {line['attempt']}  {make_plain(level):<8}  {_format_text(line, printed)}"


def format_short_log_line(line: View) -> str:
    """Return a line without the time and the attempt, to show it among a job's other news."""
    printed = line["level"] == "print"
    return _format_text(line, printed) if printed else f"{make_plain(line['level'])} {_format_text(line, printed)}"


def _format_text(line: View, printed: bool) -> str:
    text = make_plain(line["text"], lines=True)
    return text if printed else f"{make_plain(line['logger'])}: {text}"


def show_moment(text: str | None) -> str:
    """Return a time with its distance from now, "" for none."""
    return f"{show_time(text)} ({show_age(text)})" if text else ""


def show_value(value: Any) -> str:
    """Return JSON as a person reads it."""
    return make_plain(json.dumps(value, ensure_ascii=False))
