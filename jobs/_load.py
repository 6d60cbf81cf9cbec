"""Finding the job files: the set of them is the allow-list of what a worker runs."""

import importlib
import pkgutil
import re
import traceback
from pathlib import Path
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
        raise ContractError(f"{_find(error) or where}: {type(error).__name__}: {_tell(error)}") from error
    run = getattr(module, "run", None)
    if run is None:
        raise ContractError(f"{where}: there is no run(); write one, or begin the file's name with an underscore")
    if not isinstance(run, Job):
        raise ContractError(f"{where}: run is no job; put @job() above it (from jobs import job)")
    if run.type == name and run.function.__name__ != "run":
        raise ContractError(f"{where}: run is made of {run.function.__name__}(); name the function run()")
    if run.type != name:
        raise ContractError(f"{where}: run is {run.path.removesuffix('.run.perform')}'s; define it here, as run()")
    return run


def _find(error: Exception) -> str:
    """Return «jobs/sms.py: line 3» for the last job file that `error` passed through: one may import another."""
    if isinstance(error, SyntaxError):
        places = [(error.filename or "", error.lineno)]
    else:
        places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    files = [(Path(file), line) for file, line in places if str(Path(file).parent) in jobs.__path__]
    found = [f"jobs/{file.name}: line {line}" for file, line in files if not file.name.startswith("_")]
    return found[-1] if found else ""


def _tell(error: Exception) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return " ".join(text.split())
