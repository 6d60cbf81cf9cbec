"""`errand cancel`, `errand delete` and `errand requeue`."""

from typing import Annotated, Any

import typer

from errand.cli.client.http import Service, job_path
from errand.cli.client.problem import WrongUsageError
from errand.cli.command import (
    BatchFilter,
    JsonOut,
    QueueFilter,
    Since,
    TypeFilter,
    Until,
    ask_service,
    do_each,
    print_json,
)
from errand.cli.moment import read_past
from errand.cli.plain import make_plain

MANY_SECONDS = 600.0  # a filter may take every failed job there is

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Jobs.")]
MaybeIds = Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="Jobs.")]
Failed = Annotated[bool, typer.Option("--failed", help="All failed jobs that the filters below take.")]
Error = Annotated[str | None, typer.Option(metavar="TEXT", help="With this in their error.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell how many they are.")]
All = Annotated[bool, typer.Option("--all", help="Without a filter: all failed jobs.")]


def cancel(ids: Ids, as_json: JsonOut = False) -> None:
    """Cancel jobs that have not begun, stop those that run; what waits for them goes as their on_failure says."""
    with ask_service() as service:

        def act(id: str) -> None:
            answer = service.send("POST", job_path(id, "/cancel"))
            _tell(answer.body, as_json, " (told to stop)" if answer.status == 202 else "")

        do_each(ids, act)


def requeue(
    ids: MaybeIds = None,
    failed: Failed = False,
    type: TypeFilter = None,
    queue: QueueFilter = None,
    error: Error = None,
    batch: BatchFilter = None,
    since: Since = None,
    until: Until = None,
    all: All = False,
    dry_run: DryRun = False,
    as_json: JsonOut = False,
) -> None:
    """Queue jobs again that failed, were stopped or canceled, with all their tries.

    errand requeue ID… · errand requeue --failed --type email --since 2h --dry-run
    """
    with ask_service() as service:
        query = _read_filter(type, queue, error, batch, since, until, all, dry_run)
        if _is_filtered(ids, failed, query):
            change_failed(service, "requeue", query, as_json)
        else:
            do_each(ids or [], lambda id: _tell(service.send("POST", job_path(id, "/requeue")).body, as_json))


def delete(
    ids: MaybeIds = None,
    failed: Failed = False,
    type: TypeFilter = None,
    queue: QueueFilter = None,
    error: Error = None,
    batch: BatchFilter = None,
    since: Since = None,
    until: Until = None,
    all: All = False,
    dry_run: DryRun = False,
    as_json: JsonOut = False,
) -> None:
    """Delete jobs with all that is kept of them; one that runs is refused: cancel it first.

    errand delete ID… · errand delete --failed --type email --until 30d --dry-run
    """
    with ask_service() as service:
        query = _read_filter(type, queue, error, batch, since, until, all, dry_run)
        if _is_filtered(ids, failed, query):
            change_failed(service, "delete", query, as_json)
        else:
            do_each(ids or [], lambda id: _delete(service, id, as_json))


def _delete(service: Service, id: str, as_json: bool) -> None:
    service.send("DELETE", job_path(id))
    if not as_json:  # the API's answer has no JSON
        print(f"{id}  deleted")


def _tell(job: Any, as_json: bool, more: str = "") -> None:
    if as_json:
        print_json(job)
        return
    print(f"{job['id']}  {make_plain(job['status'])}{more}")
    for one in job.get("dependents") or []:
        print(f"  {one['id']}  {make_plain(one['status'])} (waits for it)")


def _read_filter(
    type: str | None,
    queue: str | None,
    error: str | None,
    batch: str | None,
    since: str | None,
    until: str | None,
    all: bool,
    dry_run: bool,
) -> dict[str, Any]:
    given = {
        "type": type,
        "queue": queue,
        "error": error,
        "batch": batch,
        "failed_after": None if since is None else read_past(since, "--since"),
        "failed_before": None if until is None else read_past(until, "--until"),
        "all": "true" if all else None,
        "dry_run": "true" if dry_run else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _is_filtered(ids: list[str] | None, failed: bool, query: dict[str, Any]) -> bool:
    """Return whether a filter is meant, and not ids. Raises WrongUsageError."""
    if ids and (failed or query):
        raise WrongUsageError("give ids, or --failed with its filters, not both")
    if not ids and not failed:
        raise WrongUsageError("give ids, or --failed" + (" with the filters" if query else ""))
    if failed and not query.keys() - {"dry_run"}:
        raise WrongUsageError("--failed wants a filter (--type, --queue, --error, --batch, --since, --until), or --all")
    return failed


def change_failed(service: Service, word: str, query: dict[str, Any], as_json: bool) -> None:
    """Requeue or delete the failed jobs that a query finds, and print which. Raises ClientError."""
    path = f"/v1/dead-letters/{word}"
    found = service.send("POST", path, query.items(), timeout_seconds=MANY_SECONDS).body
    if as_json:
        print_json(found)
        return
    count, shown = found[f"{word}d"], found["ids"]
    jobs = "1 failed job" if count == 1 else f"{count:,} failed jobs"
    print(f"{jobs} would be {word}d" if found["dry_run"] else f"{jobs} {word}d")
    for id in shown:
        print(f"  {make_plain(id)}")
    if count > len(shown):
        print(f"  … and {count - len(shown):,} more")
    for one in found["left"]:
        print(f"  {make_plain(one['id'])}  left: {make_plain(one['detail'])}")
