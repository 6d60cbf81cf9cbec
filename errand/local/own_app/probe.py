"""Importing an application in a process of its own, before anything is started with it.

`python -m errand.local.own_app.probe web|no-web MODULE:NAME [APP]` prints a line of JSON, which `try_out` reads.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from errand.local.child_process import describe_end, die_with_parent
from errand.local.own_app.settings import OwnOptions
from errand.local.processes import ProcessOutput


@dataclass(frozen=True)
class ProbeResult:
    """What was found: `fault` says what is wrong, in plain words, and `trace` is Python's traceback; "" for nothing."""

    fault: str = ""
    trace: str = ""
    is_wrong_name: bool = False  # of the Errand or the application: no change of a file helps
    app: str = ""
    mount: str | None = None
    has_log: bool = False
    has_redis_url: bool = False


def try_out(options: OwnOptions, environment: Mapping[str, str]) -> ProbeResult:
    """Import the application and its job files in a new process, as the processes will; return what was found."""
    ended = subprocess.run(
        options.probe_command(),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        start_new_session=True,  # so that Ctrl-C reaches only us
        preexec_fn=die_with_parent,
    )
    try:
        return ProbeResult(**json.loads(ended.stdout.splitlines()[-1]))
    except (IndexError, ValueError, TypeError):
        return ProbeResult(f"importing {options.target} {describe_end(ended.returncode)}", ended.stderr)


def log_fault(found: ProbeResult, options: OwnOptions, output: ProcessOutput) -> str:
    """Write Python's traceback to the log; return in plain words what is wrong."""
    for line in found.trace.splitlines():
        output.note("import", line)
    return found.fault + (f"\n(the traceback is in {options.data}/errand.log)" if found.trace else "")


def probe(has_web: bool, target: str, named: str | None = None) -> ProbeResult:
    """Import the application and its job files in this process; return what was found."""
    from errand.local.own_app.faults import describe, trace

    try:
        return _import(has_web, target, named)
    except BaseException as error:  # importing a module may raise anything, and its author needs file and line
        from errand.app.find import TargetError

        return ProbeResult(describe(error), trace(error), isinstance(error, TargetError))


def _import(has_web: bool, target: str, named: str | None) -> ProbeResult:
    from errand.api.settings import ApiSettings
    from errand.app.find import find_app, find_errand
    from errand.contract.catalog import check_settings
    from errand.redis.settings import read_settings
    from errand.store.settings import QueueSettings

    errand = find_errand(target)
    found = find_app(target, named) if has_web else None
    check_settings(errand.types.values())
    mount = found.find_mount(errand) if found else None
    if mount is not None:
        read_settings(ApiSettings, "the API").check()
    return ProbeResult(
        app=found.name if found else "",
        mount=mount,
        has_log="log" in errand.builtin,
        has_redis_url=errand.redis_url != read_settings(QueueSettings, "Errand").redis_url,
    )


def _main() -> None:
    answer, _ = os.dup(1), os.dup2(2, 1)  # what a module prints when it is imported goes to the error output
    found = probe(sys.argv[1] == "web", *sys.argv[2:])
    os.write(answer, json.dumps(asdict(found)).encode() + b"\n")
    os._exit(0)  # also where a module has started threads


if __name__ == "__main__":
    _main()
