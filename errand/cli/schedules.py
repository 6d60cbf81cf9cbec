"""`errand schedule`: jobs at set times."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer

from errand.cli.client.problem import WrongUsageError
from errand.cli.command import EXITS, ask_service, print_json
from errand.cli.moment import read_span, show_age, show_time, write_span
from errand.cli.options import JsonOut, take_groups
from errand.cli.payload import PayloadOptions, read_payload
from errand.cli.plain import make_plain

RUNS_SHOWN = 10  # of the last 50 that the API gives: the page fits on a screen

app = typer.Typer(
    no_args_is_help=True, help="Jobs at set times: list, show, put, pause, resume, run, delete.", epilog=EXITS
)

Name = Annotated[str, typer.Argument(help="The schedule.")]


@dataclass(frozen=True)
class TimingOptions:
    """When a schedule's jobs are due, and what happens when one could not be stored in time."""

    cron: Annotated[
        str | None, typer.Option(metavar="FIELDS", help="Five fields such as '0 7 * * MON-FRI', or @daily.")
    ] = None
    every: Annotated[str | None, typer.Option(metavar="SPAN", help="Every so often: 90, 90s, 5m, 2h, 1d.")] = None
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="The zone of --cron, Europe/Paris; UTC by default.")
    ] = None
    catch_up: Annotated[
        Literal["none", "last", "all"] | None,
        typer.Option(help="Which times that no worker was there for to catch up on."),
    ] = None
    overlap: Annotated[
        Literal["skip", "queue"] | None, typer.Option(help="What to do when the job before has not ended yet.")
    ] = None

    def build_fields(self) -> dict[str, Any]:
        """Return the fields of the schedule, None for those that were not given. Raises WrongUsageError."""
        if (self.cron is None) == (self.every is None):
            raise WrongUsageError("give either --cron or --every")
        return {
            "cron": self.cron,
            "every_seconds": None if self.every is None else read_span(self.every, "--every"),
            "timezone": self.timezone,
            "catch_up": self.catch_up,
            "overlap": self.overlap,
        }


@app.command("list", epilog=EXITS)
def list_schedules(as_json: JsonOut = False) -> None:
    """List all schedules, the job files' own among them."""
    from errand.cli.render import print_table

    with ask_service() as service:
        found = service.get("/v1/schedules")["items"]
        if as_json:
            print_json(*found)
        elif found:
            print_table(("name", "type", "when", "next"), [_summarize(one) for one in found])
        else:
            typer.echo("no schedules; `errand schedule put` stores one", err=True)


@app.command(epilog=EXITS)
def show(name: Name, as_json: JsonOut = False) -> None:
    """Show a schedule with its next and its last runs."""
    with ask_service() as service:
        _print(service.get(_path(name)), as_json)


@app.command(epilog=EXITS)
@take_groups
def put(
    name: Name,
    type: Annotated[str, typer.Argument(help="The job type: a file in jobs/.")],
    payload: PayloadOptions,
    timing: TimingOptions,
    as_json: JsonOut = False,
) -> None:
    """Store a schedule under its name, in place of what was there.

    errand schedule put digest email @digest.json --cron '0 7 * * MON-FRI' --timezone Europe/Paris
    """
    with ask_service() as service:
        times = timing.build_fields()
        body = {"type": type, "payload": read_payload(payload.argument, payload.fields or []), **times}
        given = {name: value for name, value in body.items() if value is not None}
        _print(service.send("PUT", _path(name), body=given).body, as_json)


@app.command(epilog=EXITS)
def pause(name: Name, as_json: JsonOut = False) -> None:
    """Let its times pass until it is resumed."""
    _change(name, "/pause", as_json)


@app.command(epilog=EXITS)
def resume(name: Name, as_json: JsonOut = False) -> None:
    """Go on with the next time from now."""
    _change(name, "/resume", as_json)


@app.command(epilog=EXITS)
def run(name: Name, as_json: JsonOut = False) -> None:
    """Store one of its jobs now, paused or not."""
    with ask_service() as service:
        job = service.send("POST", _path(name, "/run")).body
        if as_json:
            print_json(job)
        else:
            print(f"{job['id']}  {make_plain(job['status'])}")


@app.command(epilog=EXITS)
def delete(name: Name, as_json: JsonOut = False) -> None:
    """Delete it; the jobs that it has stored stay."""
    with ask_service() as service:
        service.send("DELETE", _path(name))
        if not as_json:  # the API's answer has no JSON
            print(f"{name}  deleted")


def _change(name: str, rest: str, as_json: bool) -> None:
    with ask_service() as service:
        _print(service.send("POST", _path(name, rest)).body, as_json)


def _path(name: str, rest: str = "") -> str:
    return f"/v1/schedules/{quote(name, safe='')}{rest}"


def _print(found: dict[str, Any], as_json: bool) -> None:
    from rich.text import Text

    from errand.cli.render import print_page, show_value, style_status

    if as_json:
        print_json(found)
        return
    title = Text.assemble((make_plain(found["name"]), "bold"), "  paused" if found["paused"] else "")
    runs = [_describe_run(run) for run in found["runs"][:RUNS_SHOWN]]
    fields: list[tuple[str, Any]] = [
        ("type", make_plain(found["type"])),
        ("payload", show_value(found["payload"])),
        ("when", _describe_when(found)),
        ("catch up", found["catch_up"]),
        ("overlap", found["overlap"]),
        *((name, show_time(at)) for name, at in _label("next", found["next_runs"])),
        *(
            (name, Text.assemble(f"{when}  ", style_status(status), more))
            for name, (when, status, more) in _label("runs", runs)
        ),
    ]
    print_page(title, fields)


def _label(name: str, values: list[Any]) -> list[tuple[str, Any]]:
    """Return the values as fields of which only the first has the name."""
    return [("" if number else name, value) for number, value in enumerate(values)]


def _describe_run(run: dict[str, Any]) -> tuple[str, str, str]:
    detail = run.get("job_id") or run.get("detail") or ""
    by_hand = " (by hand)" if run.get("slot") is None else ""
    return show_time(run.get("slot") or run["at"]), run["status"], make_plain(f"  {detail}{by_hand}")


def _describe_when(found: dict[str, Any]) -> str:
    if found.get("every_seconds"):
        return f"every {write_span(found['every_seconds'])}"
    zone = "" if found["timezone"] == "UTC" else f" {found['timezone']}"
    return make_plain(f"{found['cron']}{zone}")


def _summarize(found: dict[str, Any]) -> list[Any]:
    from errand.cli.render import style_status

    next = found["next_run_at"]
    upcoming = (
        style_status("paused") if found["paused"] else f"{show_time(next)} ({show_age(next)})" if next else "never"
    )
    return [make_plain(found["name"]), make_plain(found["type"]), _describe_when(found), upcoming]
