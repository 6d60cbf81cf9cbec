"""`errand logs`: what a job has logged and printed."""

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from errand.cli.client.follow import Logged, View, follow
from errand.cli.client.http import ServiceClient, job_path
from errand.cli.command import ask_service, print_json
from errand.cli.options import JsonOut

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")]


def logs(id: Annotated[str, typer.Argument(help="A job.")], goes_on: Follow = False, as_json: JsonOut = False) -> None:
    """Show what a job has logged and printed: the last 1,000 lines of it."""
    from errand.cli.render import format_log_line

    with ask_service() as service:
        for line in list_lines(service, id, goes_on):
            if as_json:
                print_json(line)
            else:
                print(format_log_line(line), flush=goes_on)


def list_lines(service: ServiceClient, id: str, goes_on: bool) -> Iterator[View]:
    """Yield the lines that are kept; with `goes_on` also those that come until the job has ended.

    Raises ClientError.
    """
    path = job_path(id)
    page = service.get(f"{path}/logs")
    if page["dropped"]:
        print(f"errand: {page['dropped']:,} lines are not kept", file=sys.stderr)
    yield from page["items"]
    last = page["items"][-1]["number"] if page["items"] else 0
    if not goes_on:
        return
    for news in follow(service, path, service.get(path)):
        if isinstance(news, Logged) and news.line["number"] > last:
            last = news.line["number"]
            yield news.line
    yield from service.get(f"{path}/logs", [("after", last)])["items"]  # where the service has no events
