"""Finding the job files: the set of them is the allow-list of what a worker runs."""

import importlib
import pkgutil
import re
import sys
import traceback
from typing import Any

import jobs
from jobs._job import Job
from jobs._payload import ContractError


def load_jobs() -> dict[str, Job[..., Any]]:
    """Import every job file; return the jobs by type, in order. Raises ContractError for the first broken one."""
    names = (module.name for module in pkgutil.iter_modules(jobs.__path__))
    return {name: _load(name) for name in sorted(names) if not name.startswith("_")}


def list_queues(types: dict[str, Job[..., Any]]) -> list[str]:
    """Return the queues that the jobs name, `default` among them."""
    return sorted({job.queue for job in types.values()} | {"default"})


def _load(name: str) -> Job[..., Any]:
    where = f"jobs/{name}.py"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ContractError(
            f"{where}: the file's name is the job's type in its URL; use lower-case letters, digits and _"
        )
    if name in jobs.__all__:
        raise ContractError(f"{where}: jobs.{name} is the contract's own name; call the file something else")
    try:
        module = importlib.import_module(f"jobs.{name}")
    except ContractError:
        raise
    except Exception as error:  # whatever a file does when imported, its author needs the file and the line
        raise ContractError(f"{where}: {_line(where)}{type(error).__name__}: {error}") from error
    run = getattr(module, "run", None)
    if run is None:
        raise ContractError(f"{where}: there is no run(); write one, or begin the file's name with an underscore")
    if not isinstance(run, Job):
        raise ContractError(f"{where}: run is no job; put @job() above it (from jobs import job)")
    if run.type != name or run.function.__name__ != "run":
        raise ContractError(f"{where}: run is {run.path.removesuffix('.run.perform')}'s; define it here, as run()")
    return run


def _line(where: str) -> str:
    """Return «line 3: » for the job file's own last line in the running exception, if it has one."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    lines = [frame.lineno for frame in frames if frame.filename.replace("\\", "/").endswith(where)]
    return f"line {lines[-1]}: " if lines else ""
