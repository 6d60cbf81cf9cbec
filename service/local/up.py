"""`errand up`: everything on one machine, until Ctrl-C."""

import fcntl
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from service.api.settings import ApiSettings
from service.local.processes import Output, Processes
from service.local.settings import LOOPBACK, UpOptions
from service.local.terminal import Interrupted, own_foreground, raise_on_interrupt
from service.local.valkey import EmbeddedValkey, ServerMissingError, find_free_port
from service.queue.catalog import read_catalog
from service.queue.settings import SettingsError, read_settings

READY_SECONDS = 30.0
GRACE_SECONDS = 10.0


class CannotStartError(Exception):
    """Raised when `errand up` can't start; the text says what to do."""


def run_up(options: UpOptions, environment: Mapping[str, str], then: Callable[[UpOptions, Output], None]) -> None:
    """Start everything, call `then` when it is ready, and stay until Ctrl-C or SIGTERM. Raises CannotStartError."""
    console = Console(highlight=False)
    with ExitStack() as stack:
        stack.enter_context(own_foreground())
        stack.enter_context(raise_on_interrupt())
        try:
            _check_port(options)
            stack.enter_context(_locked(options))
            console.print(f"Errand is starting in {options.data}/ (Ctrl-C ends it)")
            valkey = _start_valkey(options, environment, stack)
            output = Output(options.data / "errand.log", width=len("worker.10"))
            stack.callback(output.close)
            _check_settings(options, environment)
            processes = Processes(output)
            stack.callback(_stop, processes, console)
            output.on_screen = False
            _start_processes(options, environment, valkey, processes)
            _wait_until_ready(options, output)
            _show_places(options, environment, console)
            then(options, output)
            output.on_screen = True
            _watch(valkey, output)
        except Interrupted:
            console.print()


def _start_processes(
    options: UpOptions, environment: Mapping[str, str], valkey: EmbeddedValkey | None, processes: Processes
) -> None:
    sink_port = find_free_port()
    local = options.complete(environment, valkey.url if valkey else "", f"smtp://127.0.0.1:{sink_port}")
    if "SMTP_URL" not in environment:
        processes.start("mail", options.sink_command(sink_port), local)
    processes.start("web", options.web_command(), local)
    for number in range(1, options.workers + 1):
        processes.start(f"worker.{number}", options.worker_command(), local)


def _start_valkey(options: UpOptions, environment: Mapping[str, str], stack: ExitStack) -> EmbeddedValkey | None:
    if "REDIS_URL" in environment:
        return None
    valkey = EmbeddedValkey(options.data.absolute() / "valkey")
    stack.callback(valkey.stop)
    try:
        valkey.start()
    except ServerMissingError as error:
        raise CannotStartError(str(error)) from error
    return valkey


def _check_settings(options: UpOptions, environment: Mapping[str, str]) -> None:
    """Say what the processes would say, once and before they start."""
    os.environ.update(options.complete(environment, "unix://checked", "smtp://127.0.0.1"))
    try:
        read_catalog()
        read_settings(ApiSettings, "the API").check()
    except SettingsError as error:
        raise CannotStartError(str(error)) from error


def _check_port(options: UpOptions) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise CannotStartError(
            f"port {options.port} on {options.host} is taken or not to be had ({error.strerror}); "
            f"choose another: make demo PORT={options.port + 1}"
        ) from error


@contextmanager
def _locked(options: UpOptions) -> Iterator[None]:
    """Keep a second Errand out of the data folder."""
    options.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (options.data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStartError(
                f"another Errand is running in {options.data}/; give this one a folder of its own: "
                f"--data {options.data}-{options.port}"
            ) from None
        yield


def _wait_until_ready(options: UpOptions, output: Output) -> None:
    deadline = time.monotonic() + READY_SECONDS
    reason = "no answer"
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{options.base_url}/readyz", timeout=3):  # noqa: S310 - our own address
                return
        except urllib.error.HTTPError as error:
            reason = error.read().decode(errors="replace")
        except OSError as error:
            reason = str(error)
        time.sleep(0.1)
    raise CannotStartError(
        f"the API is not ready after {READY_SECONDS:.0f} s ({reason}); see {options.data}/errand.log"
    )


def _show_places(options: UpOptions, environment: Mapping[str, str], console: Console) -> None:
    places = {"API": options.base_url, "Docs": f"{options.base_url}/docs"}
    if options.host in LOOPBACK or environment.get("DASHBOARD_PASSWORD"):
        places["Dashboard"] = f"{options.base_url}/dashboard"
    places["Redis"] = (
        "REDIS_URL" if "REDIS_URL" in environment else f"{options.data}/valkey/ (Valkey, every write on disk)"
    )
    places["Mail"] = "SMTP_URL" if "SMTP_URL" in environment else f"{options.mail_folder}/ (a local SMTP sink)"
    places["Log lines"] = environment.get("LOG_URL", "file:log.txt")
    places["Workers"] = str(options.workers)
    for name, place in places.items():
        console.print(f"  {name:<10} {place}", soft_wrap=True)


def _watch(valkey: EmbeddedValkey | None, output: Output) -> None:
    while True:
        time.sleep(0.5)
        if valkey is not None and not valkey.is_running():
            output.say("valkey", "valkey ended; starting it again")
            valkey.start()


def _stop(processes: Processes, console: Console) -> None:
    console.print("Stopping; running jobs have 10 seconds to end …")
    processes.stop(GRACE_SECONDS)
    console.print("Stopped.")


def default_data(port: int) -> Path:
    """Return the data folder for a port: `.errand`, and one of its own for any other than 8000."""
    return Path(".errand") if port == 8000 else Path(f".errand-{port}")
