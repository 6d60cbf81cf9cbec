"""One change, tried in a fork of a process that has imported the library and its tests."""

import functools
import gc
import importlib
import os
import select
import signal
from collections.abc import Sequence
from types import CodeType, FunctionType
from typing import Any

import pytest

KILLED, SURVIVED, TIMEOUT, UNFIT = "killed", "survived", "timeout", "unfit"
Functions = dict[str, list[FunctionType]]


def find_functions(root: str) -> Functions:
    """Return the functions that live now, by the file that they come from."""
    found: Functions = {}
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and thing.__code__.co_filename.startswith(root):
            found.setdefault(thing.__code__.co_filename, []).append(thing)
    return found


def replace(functions: Sequence[FunctionType], before: CodeType, after: CodeType) -> int:
    """Give functions of a file the code that they have in a changed one; return how many are others now."""
    old, new = _list_codes(before), _list_codes(after)
    count = 0
    for function in functions:
        place = _name_place(function.__code__)
        pairs = list(zip(old.get(place, []), new.get(place, []), strict=False))
        # Several lambdas may be in a line.
        found = next((pair for pair in pairs if len(pairs) == 1 or pair[0] == function.__code__), None)
        if found and found[0] != found[1]:
            function.__code__ = found[1]
            count += 1
    return count


def _name_place(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def _list_codes(code: CodeType) -> dict[tuple[str, int], list[CodeType]]:
    """Return all code objects inside, by their places: what a change has cut off has none in its code."""
    found: dict[tuple[str, int], list[CodeType]] = {}
    left = [code]
    while left:
        inner = [constant for constant in left.pop().co_consts if isinstance(constant, CodeType)]
        left += inner
        for each in inner:
            found.setdefault(_name_place(each), []).append(each)
    return found


def find_caches() -> list[Any]:
    """Return what keeps the answers of functions, which may have been given when the tests were imported."""
    return [thing for thing in gc.get_objects() if isinstance(thing, functools._lru_cache_wrapper)]


class Trial:
    """Runs chosen tests of a session in a fork, in which `change` has been called before."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        self._items = {item.nodeid: item for item in session.items}

    def run(self, change: Any, tests: Sequence[str], most_seconds: float) -> tuple[str, str]:
        """Return what became of the change, and the test that failed or what went wrong."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            self._run_child(change, tests, writing)
        os.close(writing)
        is_over = bool(select.select([reading], [], [], most_seconds)[0])
        said = os.read(reading, 65536).decode(errors="replace") if is_over else ""
        os.close(reading)
        if not is_over:
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        importlib.import_module("errand.local.child_process").kill_session(
            pid
        )  # not before pytest has set up its rewriting
        outcome, _, text = said.partition(" ")
        if is_over:
            return (outcome or KILLED), text  # one that says nothing was ended by the change
        return TIMEOUT, ""

    def _run_child(self, change: Any, tests: Sequence[str], writing: int) -> None:
        said = f"{UNFIT} "
        try:
            os.setsid()
            nowhere = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(nowhere, number)
            if fault := self._change(change):
                said = f"{UNFIT} {fault}"
            else:
                said = self._run_tests([self._items[test] for test in tests])
        except BaseException as error:
            said = f"{KILLED} {error!r}".replace("\n", " ")
        finally:
            os.write(writing, said.encode())
            os._exit(0)

    def _change(self, change: Any) -> str:
        try:
            return str(change())
        except ValueError as error:
            return str(error)

    def _run_tests(self, items: list[pytest.Item]) -> str:
        session = self._session
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                session._setupstate.teardown_exact(None)
                return f"{KILLED} {item.nodeid}"
        return SURVIVED
