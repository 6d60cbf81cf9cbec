"""`errand up`: everything on one machine, until Ctrl-C."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.error import HTTPError

from rich.console import Console

from errand.local.disk import ROOM_MB, describe_full_disk, measure_free_mb
from errand.local.preflight import CannotStartError, check_port, check_settings, lock_data
from errand.local.processes import Processes, ProcessOutput
from errand.local.request import call
from errand.local.settings import LOOPBACK, UpOptions
from errand.local.terminal import Interrupted, own_foreground, raise_on_interrupt
from errand.local.valkey import EmbeddedValkey, ServerMissingError, find_free_port
from errand.local.valkey_keeper import ValkeyKeeper
from errand.redis.environment import is_set, read_variable

READY_SECONDS = 30.0  # imports take seconds on a slow machine; longer is a failure of our own API
GRACE_SECONDS = 10.0  # for running jobs, as `docker stop` gives by default
WATCH_SECONDS = 0.5  # between two looks whether Valkey still runs
KeepValkey = Callable[[], None]


@dataclass(frozen=True)
class Machine:
    """What `errand up` has started: the bundled Valkey, None where REDIS_URL is set; processes, and their output."""

    console: Console
    valkey: EmbeddedValkey | None
    output: ProcessOutput
    processes: Processes
    environment: Mapping[str, str]  # of the processes
    keeper: ValkeyKeeper


def run_up(options: UpOptions, environment: Mapping[str, str], then: Callable[[UpOptions, KeepValkey], None]) -> None:
    """Start everything, call `then` when it is ready, and stay until Ctrl-C or SIGTERM. Raises CannotStartError.

    `then` gets the options, and a function to call every second or so: it starts Valkey again where that has ended.
    """

    def check() -> None:
        check_settings(options, environment)
        check_port(options)

    def run(machine: Machine) -> None:
        machine.processes.start("web", options.web_command(), machine.environment)
        start_workers(options, machine)
        _wait_until_ready(options)
        show_places(_list_places(options, environment), machine.console)
        then(options, machine.keeper.start_if_ended)
        machine.output.on_screen = True
        while True:
            time.sleep(WATCH_SECONDS)
            machine.keeper.start_if_ended()

    run_on_machine(options, environment, check, run)


def run_on_machine(
    options: UpOptions, environment: Mapping[str, str], check: Callable[[], None], run: Callable[[Machine], None]
) -> None:
    """Check, start Valkey and the mail sink, and call `run`, which adds the rest; end all of it at Ctrl-C or SIGTERM.

    Raises CannotStartError.
    """
    console = Console(highlight=False)
    with ExitStack() as stack:
        stack.enter_context(own_foreground())
        stack.enter_context(raise_on_interrupt())
        try:
            check()
            stack.enter_context(lock_data(options))
            console.print(f"Errand is starting in {options.data}/ (Ctrl-C ends it)", soft_wrap=True)
            valkey = _start_valkey(options, environment, stack)
            output = _open_output(options)
            stack.callback(output.close)
            processes = Processes(output)
            stack.callback(_stop, processes, console)
            output.on_screen = False
            sink_port = find_free_port()
            local = options.complete(environment, valkey.url if valkey else "", f"smtp://127.0.0.1:{sink_port}")
            if not is_set("SMTP_URL", environment):
                processes.start("mail", options.sink_command(sink_port), local)
            run(Machine(console, valkey, output, processes, local, ValkeyKeeper(valkey, output.say)))
        except Interrupted:
            console.print()


def start_workers(options: UpOptions, machine: Machine) -> list[str]:
    """Start the workers; return their names."""
    names = [f"worker.{number}" for number in range(1, options.workers + 1)]
    for name in names:
        machine.processes.start(name, options.worker_command(), machine.environment)
    return names


def _open_output(options: UpOptions) -> ProcessOutput:
    path = options.data / "errand.log"
    try:
        return ProcessOutput(path, width=len("worker.10"))
    except OSError as error:
        raise CannotStartError(f"{path} can't be written: {error.strerror}") from error


def _start_valkey(options: UpOptions, environment: Mapping[str, str], stack: ExitStack) -> EmbeddedValkey | None:
    if is_set("REDIS_URL", environment):
        return None
    if (free_mb := measure_free_mb(options.data)) < ROOM_MB:
        raise CannotStartError(f"{describe_full_disk(options.data, free_mb)}; make room and start again")
    valkey = EmbeddedValkey(options.data.absolute() / "valkey")
    stack.callback(valkey.stop)
    try:
        valkey.start()
    except ServerMissingError as error:
        raise CannotStartError(str(error)) from error
    return valkey


def _wait_until_ready(options: UpOptions) -> None:
    deadline = time.monotonic() + READY_SECONDS
    reason = "no answer"
    while time.monotonic() < deadline:
        try:
            call(options, "/readyz", timeout_seconds=3)
            return
        except HTTPError as error:
            reason = error.read().decode(errors="replace")
        except OSError as error:
            reason = str(error)
        time.sleep(0.1)
    raise CannotStartError(
        f"the API is not ready after {READY_SECONDS:.0f} s ({reason}); see {options.data}/errand.log"
    )


def _list_places(options: UpOptions, environment: Mapping[str, str]) -> dict[str, str]:
    places = list_pages(options.base_url, options.host, environment)
    places["Redis"] = (
        "REDIS_URL" if is_set("REDIS_URL", environment) else f"{options.data}/valkey/ (Valkey, every write on disk)"
    )
    places["Mail"] = describe_mail(options, environment, places.get("Console"))
    places["Log lines"] = describe_log(environment)
    places["Workers"] = str(options.workers)
    return places


def list_pages(api: str, host: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the URLs of the API and of its pages that are open at this address, or behind a password."""
    is_open, password = host in LOOPBACK, read_variable("DASHBOARD_PASSWORD", environment)
    has_console = is_open or password or read_variable("CONSOLE_READ_PASSWORD", environment)
    pages = {"Console": f"{api}/console"} if has_console else {}
    pages |= {"API": api, "Docs": f"{api}/docs"}
    return pages | ({"Dashboard": f"{api}/dashboard"} if is_open or password else {})


def describe_mail(options: UpOptions, environment: Mapping[str, str], console: str | None = None) -> str:
    """Return where mail goes, and where to look at it."""
    if is_set("SMTP_URL", environment):
        return "SMTP_URL"
    return f"{options.mail_folder}/ (a local SMTP sink)" + (f", shown at {console}/mail" if console else "")


def describe_log(environment: Mapping[str, str]) -> str:
    """Return where log lines go."""
    return (read_variable("LOG_URL", environment) or "log.txt").removeprefix("file:")


def show_places(places: Mapping[str, str], console: Console) -> None:
    """Print where everything is."""
    for name, place in places.items():
        console.print(f"  {name:<10} {place}", soft_wrap=True, markup=False)


def _stop(processes: Processes, console: Console) -> None:
    try:
        if processes.has_workers:
            console.print(f"Stopping; running jobs have {GRACE_SECONDS:.0f} seconds to end …")
    finally:  # printing fails where the terminal was closed
        processes.stop(GRACE_SECONDS)
    if processes.has_workers:
        console.print("Stopped.")
