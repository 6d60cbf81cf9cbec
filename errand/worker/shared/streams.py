"""The standard streams of a process that runs jobs: every job prints to them, so none may take them away."""

import os
import sys
from collections.abc import Collection
from contextlib import suppress
from typing import Any

NAMES = ("stdout", "stderr")
DESCRIPTORS = (1, 2)


class Streams:
    """Keeps stdout and stderr, as they are where this is made, open and in their places.

    Whoever holds them – a job, a handler of the log – can close them to no effect. What stands in their place,
    by `contextlib.redirect_stdout` for example, is left to the jobs that may have put it there until these have ended.
    """

    def __init__(self) -> None:
        self._own: dict[str, Any] = {name: getattr(sys, name) for name in NAMES}
        self._found: dict[str, tuple[Any, set[str]]] = {}
        self._copies = {number: copy for number in DESCRIPTORS if (copy := _duplicate(number)) is not None}
        for stream in self._own.values():
            _keep_open(stream)

    def look(self, running: Collection[str]) -> None:
        """Put back what has been closed, or replaced by jobs of which none is among the `running`."""
        if sys.stdout is not self._own["stdout"] or sys.stderr is not self._own["stderr"]:
            for name in NAMES:
                self._look_at(name, set(running))
        elif self._found:
            self._found.clear()
        for number, copy in self._copies.items():
            try:
                os.get_inheritable(number)
            except OSError:  # closed, and not yet another file's
                os.dup2(copy, number)

    def restore(self) -> None:
        """Put both back, whoever uses them."""
        for name, stream in self._own.items():
            setattr(sys, name, stream)
        self.look(())

    def _look_at(self, name: str, running: set[str]) -> None:
        found = getattr(sys, name)
        if found is self._own[name]:
            self._found.pop(name, None)
            return
        seen, suspects = self._found.get(name, (None, running))
        suspects = suspects & running if seen is found else running
        self._found[name] = (found, suspects)
        if not suspects or found is None or getattr(found, "closed", False):
            setattr(sys, name, self._own[name])
            del self._found[name]


def _keep_open(stream: Any) -> None:
    """Let `close` flush, in the stream and in those under it: one made over them closes them when it is forgotten."""
    while stream is not None:
        with suppress(AttributeError):  # not a stream of Python's own
            stream.close = stream.flush
        stream = getattr(stream, "buffer", None) or getattr(stream, "raw", None)


def _duplicate(number: int) -> int | None:
    try:
        return os.dup(number)  # not inherited by what jobs start
    except OSError:  # it was closed before
        return None
