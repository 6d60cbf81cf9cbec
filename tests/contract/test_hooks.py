"""Which functions of job files run when a worker starts and stops."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from errand import ContractError, on_worker_start, on_worker_stop
from errand.contract.hooks import find_hooks
from tests.support.job_fixtures import Add

HELPER = """
from errand import on_worker_start, on_worker_stop

@on_worker_start
def open_first(): ...

@on_worker_start
async def open_second(): ...

@on_worker_stop
def close_second(): ...

@on_worker_stop
def close_first(): ...
"""
JOB = """
from errand import job, on_worker_start
from jobs._pool import open_first

@on_worker_start
def open_{name}(): ...

@job()
def run() -> None: ...
"""


def test_they_are_found_in_job_files_and_helpers_once_and_in_order(add_folder: Add, tmp_path: Path) -> None:
    (tmp_path / "_pool.py").write_text(HELPER)
    for name in ("zebra", "aardvark"):
        (tmp_path / f"{name}.py").write_text(JOB.format(name=name))
    add_folder(tmp_path)
    for name in ("zebra", "aardvark"):
        importlib.import_module(f"jobs.{name}")
    hooks = find_hooks("jobs")
    names = ["open_first", "open_second", "open_aardvark", "open_zebra"]
    assert [hook.__name__ for hook in hooks.start] == names
    assert [hook.__name__ for hook in hooks.stop] == ["close_first", "close_second"]


def test_a_folder_without_any_has_none() -> None:
    hooks = find_hooks("tests.fixtures")
    assert (hooks.start, hooks.stop) == ((), ())


def test_a_marked_function_is_called_as_before() -> None:
    @on_worker_start
    def open_pool(size: int = 3) -> int:
        return size

    assert (open_pool(), open_pool(5)) == (3, 5)


def needs(size: int) -> None: ...


def generate() -> Any:
    yield


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (needs, "tests/contract/test_hooks.py: needs() has parameters; @on_worker_stop calls it without any"),
        (
            generate,
            "tests/contract/test_hooks.py: generate() is a generator; write one function under @on_worker_start and "
            "one under @on_worker_stop",
        ),
        (print, "@on_worker_stop stands above a function without parameters, not <built-in function print>"),
    ],
)
def test_what_can_not_be_one_is_refused_with_the_fix(function: Any, message: str) -> None:
    with pytest.raises(ContractError) as caught:
        on_worker_stop(function)
    assert str(caught.value) == message
