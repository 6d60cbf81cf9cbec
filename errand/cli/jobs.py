"""`errand status` and `errand list`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from errand.cli.client.follow import View, is_batch, read
from errand.cli.client.http import ServiceClient
from errand.cli.client.problem import RequestRefusedError
from errand.cli.command import ask_service, do_each, print_json
from errand.cli.moment import read_past, show_age
from errand.cli.options import BatchFilter, JsonOut, QueueFilter, Since, TypeFilter, Until, take_groups
from errand.cli.output import is_read
from errand.cli.plain import make_plain
from errand.redis.keys import UNSTARTED

PAGE = 100  # jobs per request: the most that the API gives

Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]
Payload = Annotated[bool, typer.Option("--payload", help="Show the payload of each job as well.")]
All = Annotated[bool, typer.Option("--all", help="All of them, without a limit.")]


def status(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Jobs or batches.")],
    payload: Payload = False,
    as_json: JsonOut = False,
) -> None:
    """Show jobs or batches as they are now, and why those wait that have not started."""
    from errand.cli.render import print_view

    with ask_service() as service:

        def show(id: str) -> None:
            path, view = read(service, id)
            if payload and not is_batch(view):
                view = service.get(path, [("fields", "payload")])
            if as_json:
                print_json(view)
            else:
                print_view(view, _ask_why(service, path, view))

        do_each(ids, show)


def _ask_why(service: ServiceClient, path: str, view: View) -> str:
    """Return why a job has not started; "" for one that has, and for a service that can't say."""
    if is_batch(view) or view["status"] not in UNSTARTED:
        return ""
    try:
        return str(service.get(f"{path}/why")["reason"])
    except RequestRefusedError:  # the job has gone meanwhile, or the service is older
        return ""


@dataclass(frozen=True)
class ListFilter:
    """Which jobs `errand list` shows."""

    type: TypeFilter = None
    queue: QueueFilter = None
    status: Annotated[str | None, typer.Option(help="With this status: queued, started, finished, failed, …")] = None
    tag: Annotated[str | None, typer.Option(metavar="WORD", help="With this tag.")] = None
    batch: BatchFilter = None
    since: Since = None
    until: Until = None

    def build_query(self) -> dict[str, Any]:
        """Return the query of the list; what is None in it was not asked for. Raises WrongUsageError."""
        return {
            "type": self.type,
            "queue": self.queue,
            "status": self.status,
            "tag": self.tag,
            "batch": self.batch,
            "created_after": None if self.since is None else read_past(self.since, "--since"),
            "created_before": None if self.until is None else read_past(self.until, "--until"),
        }


@take_groups
def list_jobs(filter: ListFilter, limit: Limit = 20, all: All = False, as_json: JsonOut = False) -> None:
    """List jobs, the newest first."""
    from errand.cli.render import print_table

    with ask_service() as service:
        found = list_found(service, filter.build_query(), None if all else limit)
        if as_json:
            for job in found:
                print_json(job)
            return
        rows = [_describe(job) for job in found]
        if rows:
            print_table(("id", "type", "status", "%", "created"), rows, right=(3,))
        else:
            typer.echo("no such jobs", err=True)


def list_found(service: ServiceClient, query: dict[str, Any], limit: int | None) -> Iterator[View]:
    """Yield the jobs that a query finds, page after page, `limit` at most."""
    cursor = None
    left = limit
    while (left is None or left > 0) and is_read():
        asked = {**query, "limit": PAGE if left is None else min(PAGE, left), "cursor": cursor}
        page = service.get("/v1/jobs", asked.items())
        yield from page["items"]
        cursor = page["next"]
        if not cursor:
            return
        left = None if left is None else left - len(page["items"])


def _describe(job: View) -> list[Any]:
    from errand.cli.render import style_status

    percent = (job.get("progress") or {}).get("percent")
    shown = "" if percent is None else f"{percent:.0f}"
    return [job["id"], make_plain(job["type"]), style_status(job["status"]), shown, show_age(job.get("created_at"))]
