"""`errand cancel`, `errand delete` and `errand requeue`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from errand.cli.client.http import ServiceClient, job_path
from errand.cli.client.problem import WrongUsageError
from errand.cli.command import ask_service, do_each, print_json
from errand.cli.moment import read_past
from errand.cli.options import BatchFilter, JsonOut, QueueFilter, Since, TypeFilter, Until, take_groups
from errand.cli.plain import make_plain

MANY_SECONDS = 600.0  # a filter may find every failed job, which the API changes in steps before it answers

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show how many there are.")]


@dataclass(frozen=True)
class ChosenJobs:
    """The jobs to requeue or to delete: by their ids, or those of the failed ones that a filter finds."""

    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="Jobs.")] = None
    failed: Annotated[bool, typer.Option("--failed", help="All failed jobs that match the filters below.")] = False
    type: TypeFilter = None
    queue: QueueFilter = None
    error: Annotated[str | None, typer.Option(metavar="TEXT", help="With this text in their error.")] = None
    batch: BatchFilter = None
    since: Since = None
    until: Until = None
    all: Annotated[bool, typer.Option("--all", help="Without a filter: all failed jobs.")] = False
    dry_run: DryRun = False

    def build_query(self) -> dict[str, Any] | None:
        """Return the query that finds the failed jobs, None where ids are given. Raises WrongUsageError."""
        filters = {
            "type": self.type,
            "queue": self.queue,
            "error": self.error,
            "batch": self.batch,
            "failed_after": None if self.since is None else read_past(self.since, "--since"),
            "failed_before": None if self.until is None else read_past(self.until, "--until"),
            "all": "true" if self.all else None,
            "dry_run": "true" if self.dry_run else None,
        }
        query = {name: value for name, value in filters.items() if value is not None}
        if self.ids and (self.failed or query):
            raise WrongUsageError("give ids, or --failed with its filters, not both")
        if not self.ids and not self.failed:
            raise WrongUsageError("give ids, or --failed" + (" with the filters" if query else ""))
        if self.failed and not query.keys() - {"dry_run"}:
            known = "--type, --queue, --error, --batch, --since, --until"
            raise WrongUsageError(f"--failed wants a filter ({known}), or --all")
        return query if self.failed else None


def cancel(ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Jobs.")], as_json: JsonOut = False) -> None:
    """Cancel jobs that have not started, stop those that run; jobs that wait for them follow their own on_failure."""
    with ask_service() as service:

        def act(id: str) -> None:
            answer = service.send("POST", job_path(id, "/cancel"))
            _print(answer.body, as_json, " (asked to stop)" if answer.status == 202 else "")

        do_each(ids, act)


@take_groups
def requeue(jobs: ChosenJobs, as_json: JsonOut = False) -> None:
    """Queue jobs again that failed, were stopped or canceled, with all their tries.

    errand requeue ID… · errand requeue --failed --type email --since 2h --dry-run
    """
    _change("requeue", jobs, as_json, _requeue)


@take_groups
def delete(jobs: ChosenJobs, as_json: JsonOut = False) -> None:
    """Delete jobs with all that is kept of them; one that runs is refused: cancel it first.

    errand delete ID… · errand delete --failed --type email --until 30d --dry-run
    """
    _change("delete", jobs, as_json, _delete)


def _change(word: str, jobs: ChosenJobs, as_json: bool, act: Callable[[ServiceClient, str, bool], None]) -> None:
    with ask_service() as service:
        query = jobs.build_query()
        if query is None:
            do_each(jobs.ids or [], lambda id: act(service, id, as_json))
        else:
            change_failed(service, word, query, as_json)


def _requeue(service: ServiceClient, id: str, as_json: bool) -> None:
    _print(service.send("POST", job_path(id, "/requeue")).body, as_json)


def _delete(service: ServiceClient, id: str, as_json: bool) -> None:
    service.send("DELETE", job_path(id))
    if not as_json:  # the API's answer has no JSON
        print(f"{id}  deleted")


def _print(job: Any, as_json: bool, more: str = "") -> None:
    if as_json:
        print_json(job)
        return
    print(f"{job['id']}  {make_plain(job['status'])}{more}")
    for one in job.get("dependents") or []:
        print(f"  {one['id']}  {make_plain(one['status'])} (waits for it)")


def change_failed(service: ServiceClient, word: str, query: dict[str, Any], as_json: bool) -> None:
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
