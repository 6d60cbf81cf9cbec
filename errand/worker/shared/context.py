"""The context in which attempts begin: each in a copy, so that what a job sets there is gone with its attempt."""

import decimal
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import cached_property
from operator import attrgetter
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
_read_settings = attrgetter("prec", "rounding", "Emin", "Emax", "capitals", "clamp", "traps")


class BaseContext:
    """The context of the process' start: as it is where this is made, and what is set in `context` before `run`.

    So attempts see what job files set when they were imported.
    """

    def __init__(self) -> None:
        self.context: Context = copy_context()

    def run(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `function` does in a copy."""
        base, arithmetic, forked = self._start
        context = base.copy()
        for variable, value in forked:
            context.run(_set, variable, value.fork())
        if arithmetic is not None:
            context.run(decimal.setcontext, arithmetic.copy())
        return context.run(function, *args, **kwargs)

    @cached_property
    def _start(self) -> tuple[Context, decimal.Context | None, list[tuple[Any, Any]]]:
        """What is copied; what `decimal` works by, where that is not Python's own; and what is forked.

        What `decimal` works by is an object that `getcontext().prec = 9` changes for all who have it, so each gets one
        of its own. So are Sentry's scopes, which `set_tag` changes; these have a method for it.
        """
        base, arithmetic, forked = Context(), None, []
        for variable, value in self.context.items():
            if callable(getattr(value, "fork", None)):
                forked.append((variable, value))
            elif not isinstance(value, decimal.Context):
                base.run(_set, variable, value)
            elif _read_settings(value) != _read_settings(decimal.DefaultContext):
                arithmetic = value
        return base, arithmetic, forked


def _set(variable: Any, value: Any) -> None:
    variable.set(value)
