"""What a row is given: the system to measure, and servers for it."""

from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from bench.server import Server, start_server
from bench.system import System


@dataclass(frozen=True)
class Context:
    """One system in one run."""

    system: System

    def start_server(self, appendfsync: str = "everysec") -> AbstractContextManager[Server]:
        """Run an empty Valkey until the block ends: `everysec`, `always`, or `none` for no file at all."""
        return start_server(appendfsync)

    def closing(self) -> ExitStack:
        """Return a stack for processes whose number the row knows only when it runs."""
        return ExitStack()
