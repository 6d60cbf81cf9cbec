"""`errand up MODULE:NAME`: your own application with everything it needs on this machine, until Ctrl-C."""

import http.client
import time
from collections.abc import Mapping
from socket import socket
from urllib.parse import urlsplit

from errand.local.own_app.probe import ProbeResult, log_fault, try_out
from errand.local.own_app.reload import Reloader
from errand.local.own_app.settings import OwnOptions
from errand.local.preflight import CannotStartError, check_redis, take_port
from errand.local.processes import AGAIN
from errand.local.up import (
    READY_SECONDS,
    Machine,
    describe_log,
    describe_mail,
    list_pages,
    run_on_machine,
    show_places,
    start_workers,
)

LOOK_SECONDS = 0.1  # between two looks at Valkey, files and the web process: at once for a person
SHOWN_LINES = 20  # of the web process where it does not start: the end of a traceback


def run_own(options: OwnOptions, environment: Mapping[str, str]) -> None:
    """Start everything, and stay until Ctrl-C or SIGTERM. Raises CannotStartError."""
    sockets: list[socket] = []

    def check() -> None:
        check_redis(environment)
        if options.has_web:
            sockets.append(take_port(options))  # and keep it open: it outlives the web process

    def run(machine: Machine) -> None:
        reloader = Reloader(options, machine) if options.reload else None
        found = reloader.wait_until_importable() if reloader else _try_once(options, machine)
        names = [*_start_web(options, machine, sockets), *start_workers(options, machine)]
        if reloader:
            reloader.names = names
        if options.has_web:
            _wait_until_ready(options, machine, found.app, reloader)
        show_places(_list_places(options, environment, machine, found), machine.console)
        machine.console.print("\nReady; what the processes say follows.\n")
        machine.output.on_screen = True
        while True:
            _go_on(machine, reloader)

    try:
        run_on_machine(options, environment, check, run)
    finally:
        for each in sockets:
            each.close()


def _try_once(options: OwnOptions, machine: Machine) -> ProbeResult:
    found = try_out(options, machine.environment)
    if found.fault:
        raise CannotStartError(log_fault(found, options, machine.output))
    return found


def _start_web(options: OwnOptions, machine: Machine, sockets: list[socket]) -> list[str]:
    for each in sockets:
        number = each.fileno()
        machine.processes.start("web", options.serve_command(number), machine.environment, pass_fds=[number])
    return ["web"] if sockets else []


def _go_on(machine: Machine, reloader: Reloader | None) -> None:
    """Wait a moment; restart what has ended or changed."""
    time.sleep(LOOK_SECONDS)
    machine.keeper.start_if_ended()
    if reloader:
        reloader.restart_if_changed()


def _wait_until_ready(options: OwnOptions, machine: Machine, name: str, reloader: Reloader | None) -> None:
    """Return when the application answers, with any status. Raises CannotStartError where its process ends before."""
    shown_at = time.monotonic() + READY_SECONDS  # one that loads a model may take longer: show its output then
    while not _answers(options.base_url):
        _go_on(machine, reloader)
        has_ended = machine.processes.count_ends("web") > 0
        if not machine.output.on_screen and (has_ended or time.monotonic() > shown_at):
            machine.console.print(_read_end(options), soft_wrap=True, markup=False)
            machine.output.on_screen = True
        if has_ended and not reloader:
            raise CannotStartError(f"{name} ended while it started; what it said is above")


def _answers(url: str) -> bool:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    try:
        connection.request("HEAD", "/")
        connection.getresponse()
        return True
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _read_end(options: OwnOptions) -> str:
    """Return the last lines that the web process has written."""
    lines = (options.data / "errand.log").read_text(errors="replace").splitlines()
    parts = [line.partition("|") for line in lines]
    said = [text[1:] for name, _, text in parts if name.split()[-1:] == ["web"] and AGAIN not in text]
    return "\n".join(said[-SHOWN_LINES:]).rstrip()


def _list_places(
    options: OwnOptions, environment: Mapping[str, str], machine: Machine, found: ProbeResult
) -> dict[str, str]:
    places = {"App": f"{options.base_url} ({found.app})"} if options.has_web else {}
    if found.mount is not None:
        places |= list_pages(options.base_url + found.mount, options.host, environment)
    if found.has_redis_url:
        places["Redis"] = "the redis_url of the Errand"
    elif machine.valkey is None:
        places["Redis"] = "REDIS_URL"
    else:
        places["Redis"] = f"REDIS_URL={machine.valkey.url} (Valkey, every write on disk)"
    places["Mail"] = describe_mail(options, environment, places.get("Console"))
    if found.has_log:
        places["Log lines"] = describe_log(environment)
    places["Workers"] = str(options.workers)
    if options.reload:
        places["Reload"] = "when a .py file below this folder changes"
    return places
