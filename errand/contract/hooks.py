"""`@on_worker_start` and `@on_worker_stop`: functions of the job files that open and close what jobs share."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from errand.contract.errors import ContractError

F = TypeVar("F", bound=Callable[[], Any])
Hook = Callable[[], Any]

_MARK = "__errand_hook__"  # on the function itself, so that nothing has to be registered anywhere


@dataclass(frozen=True)
class Hooks:
    """What a process that runs jobs calls before its first and after its last one, each in its order."""

    start: tuple[Hook, ...] = ()
    stop: tuple[Hook, ...] = ()


NO_HOOKS = Hooks()


def on_worker_start(function: F) -> F:
    """Let a function without parameters, plain or async, run in each process that runs jobs, before the first one.

    While it raises, no job is taken; it is called again until it succeeds. Raises ContractError where it can't be one.
    """
    return _mark(function, "on_worker_start")


def on_worker_stop(function: F) -> F:
    """Let a function without parameters, plain or async, run in each process that has run jobs, after the last one.

    Raises ContractError where it can't be one.
    """
    return _mark(function, "on_worker_stop")


def find_hooks(package: str) -> Hooks:
    """Return the functions marked in a package's modules that are loaded, helpers whose names begin with `_` too.

    They come in the order of the modules' names, then as they are written; those that stop come in reverse.
    """
    names = sorted(name for name in sys.modules if name == package or name.startswith(f"{package}."))
    values = [value for name in names for value in vars(sys.modules[name]).values() if inspect.isfunction(value)]
    found = {"on_worker_start": {}, "on_worker_stop": {}}  # type: dict[str, dict[Hook, None]]
    for value in values:
        if (event := getattr(value, _MARK, None)) is not None:
            found[event][value] = None  # once, though other modules may import it
    return Hooks(tuple(found["on_worker_start"]), tuple(reversed(found["on_worker_stop"])))


def name_hook(hook: Hook) -> str:
    """Return «jobs/_web.py: open()»."""
    return f"{hook.__module__.replace('.', '/')}.py: {hook.__name__}()"


def _mark(function: F, event: str) -> F:
    if not inspect.isfunction(function):
        raise ContractError(f"@{event} stands above a function without parameters, not {function!r:.80}")
    needed = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]
    if any(one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in needed):
        raise ContractError(f"{name_hook(function)} has parameters; @{event} calls it without any")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ContractError(
            f"{name_hook(function)} is a generator; write one function under @on_worker_start and one "
            "under @on_worker_stop"
        )
    setattr(function, _MARK, event)
    return function
