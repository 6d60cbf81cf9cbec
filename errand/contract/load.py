"""Finding the job files: the set of them is the allow-list of what a worker runs."""

import importlib
import pkgutil
import re
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from errand.contract.errors import ContractError
from errand.contract.from_python.home import BUILTIN as HOME
from errand.contract.job import Job
from errand.contract.queue import Queue

PACKAGE = "jobs"
BUILTIN = ("email", "log", "webhook")  # the files of errand.builtin that are jobs


def load_jobs(package: str = PACKAGE, builtin: Sequence[str] = ()) -> dict[str, Job[..., Any]]:
    """Import every job file of a package; return the jobs by type, in order, with those `builtin` ones that are named.

    Raises ContractError for the first broken one. A file whose name begins with an underscore is no job file.
    """
    folder = importlib.import_module(package)
    names = (module.name for module in pkgutil.iter_modules(folder.__path__))
    found = {name: _load(folder, name) for name in sorted(names) if not name.startswith("_")}
    for name in builtin:
        if name not in BUILTIN:
            raise ContractError(f"builtin={name!r}: there is none of that name; there are {', '.join(BUILTIN)}")
        if name in found:
            raise ContractError(f"{found[name].where}: {name} is in builtin=[…] as well; leave one of the two out")
        found[name] = importlib.import_module(f"{HOME}.{name}").run
    return dict(sorted(found.items()))


def list_queues(types: dict[str, Job[..., Any]]) -> list[Queue]:
    """Return the queues that the jobs name, the default one among them, in the order of their names."""
    return sorted({job.queue for job in types.values()} | {Queue()})


def _load(folder: ModuleType, name: str) -> Job[..., Any]:
    package = folder.__name__
    where = f"{package.replace('.', '/')}/{name}.py"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ContractError(
            f"{where}: the file's name is the job's type in its URL; use lower-case letters, digits and _"
        )
    if name in getattr(folder, "__all__", ()):
        raise ContractError(f"{where}: {package}.{name} is the contract's own name; call the file something else")
    try:
        module = importlib.import_module(f"{package}.{name}")
    except ContractError:
        raise
    except Exception as error:  # whatever a file does when imported, its author needs the file and the line
        raise ContractError(f"{_find(error, folder) or where}: {type(error).__name__}: {_describe(error)}") from error
    run = getattr(module, "run", None)
    if run is None:
        raise ContractError(f"{where}: there is no run(); write one, or begin the file's name with an underscore")
    if not isinstance(run, Job):
        raise ContractError(f"{where}: run is no job; put @job() above it (from errand import job)")
    if run.module != module.__name__:
        raise ContractError(
            f"{where}: run is {run.module}'s; define it here, as run(), or adopt that one: "
            f"run = {run.type}.run.adopt(__name__)"
        )
    if run.function.__name__ != "run":
        raise ContractError(f"{where}: run is made of {run.function.__name__}(); name the function run()")
    return run


def _find(error: Exception, folder: ModuleType) -> str:
    """Return «jobs/sms.py: line 3» for the last job file that `error` passed through: one may import another."""
    if isinstance(error, SyntaxError):
        places = [(error.filename or "", error.lineno)]
    else:
        places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    files = [(Path(file), line) for file, line in places if str(Path(file).parent) in folder.__path__]
    prefix = folder.__name__.replace(".", "/")
    found = [f"{prefix}/{file.name}: line {line}" for file, line in files if not file.name.startswith("_")]
    return found[-1] if found else ""


def _describe(error: Exception) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return " ".join(text.split())
