"""`errand failures`: failed jobs in groups of the same error; requeue and delete them by group."""

from typing import Annotated, Any

import typer
from rich.text import Text

from errand.cli.change import DryRun, change_failed
from errand.cli.command import EXITS, ask_service, print_json
from errand.cli.moment import show_age
from errand.cli.options import JsonOut, QueueFilter, TypeFilter
from errand.cli.plain import make_plain
from errand.cli.render import STYLES, describe_error, print_table

SUMMARY = "Show what failed and what is tried again, by type, error and the job's own frame; requeue, delete."
HEADER = ("group", "failed", "retrying", "last", "type", "error", "at", "newest")

app = typer.Typer(help=SUMMARY, invoke_without_command=True, epilog=EXITS)

Limit = Annotated[int, typer.Option(min=1, max=100, help="How many groups at most, those with the most jobs.")]
Group = Annotated[str, typer.Argument(metavar="GROUP", help="A group, as `errand failures` names it.")]


@app.callback()
def show(
    context: typer.Context,
    type: TypeFilter = None,
    queue: QueueFilter = None,
    limit: Limit = 20,
    as_json: JsonOut = False,
) -> None:
    """Show what failed and what is tried again, by type, error and the job's own frame; requeue, delete."""
    if context.invoked_subcommand:
        return
    with ask_service() as service:
        query = {"type": type, "queue": queue, "limit": limit}
        found = service.get("/v1/dead-letters/groups", query.items())
        if as_json:
            print_json(*found["items"])
            return
        if found["items"]:
            print_table(HEADER, [_describe(group) for group in found["items"]], right=(1, 2))
        for note in _list_notes(found):
            typer.echo(note, err=True)


@app.command(epilog=EXITS)
def requeue(group: Group, dry_run: DryRun = False, as_json: JsonOut = False) -> None:
    """Queue a group's failed jobs again, with all their tries; those that are tried again anyway are left."""
    _change("requeue", group, dry_run, as_json)


@app.command(epilog=EXITS)
def delete(group: Group, dry_run: DryRun = False, as_json: JsonOut = False) -> None:
    """Delete a group's failed jobs with all that is kept of them; those that are tried again are left."""
    _change("delete", group, dry_run, as_json)


def _change(word: str, group: str, dry_run: bool, as_json: bool) -> None:
    with ask_service() as service:
        change_failed(service, word, {"fingerprint": group} | ({"dry_run": "true"} if dry_run else {}), as_json)


def _describe(group: dict[str, Any]) -> list[Any]:
    return [
        make_plain(group["fingerprint"]),
        _count(group["failed"], STYLES["failed"]),
        _count(group["retrying"], STYLES["paused"]),
        show_age(group.get("last_at")),
        make_plain(group["type"]),
        describe_error(group),
        make_plain(group.get("frame") or ""),
        make_plain(group["example"]),
    ]


def _count(count: int, style: str) -> Text:
    return Text(f"{count:,}", style) if count else Text("·", "dim")


def _list_notes(found: dict[str, Any]) -> list[str]:
    """Return what the table does not show."""
    notes = [] if found["items"] else ["nothing has failed"]
    if found["groups"] > len(found["items"]):
        notes.append(f"and {found['groups'] - len(found['items']):,} groups more; see --limit")
    if not found["complete"]:
        notes.append(f"looked at the newest {found['scanned']:,} of {found['total']:,} jobs")
    return notes
