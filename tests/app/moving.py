"""What docs/from-….md show: their files before and after the move, written out and run as they stand."""

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from errand.testing.jobs import provide_jobs
from errand.testing.server import RedisServer
from errand.testing.target import find_target
from tests.support.project import ROOT
from tests.support.services import pass_coverage

_FILE = re.compile(r"^ *```python\n *# (\S+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_PACKAGE = "shop"


RunTests = Callable[[Path, str], list[str]]


@dataclass(frozen=True)
class Page:
    """A page's files by their names: those that a reader has, and those that are new."""

    before: dict[str, str]
    after: dict[str, str]


def read_page(name: str) -> Page:
    """Return the files of docs/`name`; what stands under «Before» is before the move."""
    _, _, text = (ROOT / "docs" / name).read_text().partition("\n## Before\n")
    before, _, after = text.partition("\n## After\n")
    return Page(_read_files(before), _read_files(after))


def _read_files(text: str) -> dict[str, str]:
    return {name: dedent(content) for name, content in _FILE.findall(text)}


def write(folder: Path, *several: dict[str, str]) -> None:
    """Write files into a folder, as packages."""
    for files in several:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            if path.parent != folder and path.parent.name != "tests":
                (path.parent / "__init__.py").touch()


@contextmanager
def importing(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the package be imported from there inside the block, and forget it afterwards."""
    _forget()
    patch.syspath_prepend(str(folder))
    yield
    _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]:
        del sys.modules[name]


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Python's in a folder."""
    settings = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{folder}", **pass_coverage(), **environment}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=settings, capture_output=True, text=True, timeout=60
    )


def run_tests(folder: Path, name: str, server: RedisServer, patch: pytest.MonkeyPatch) -> list[str]:
    """Run the page's own tests, of the Errand that `name` names; return their names.

    Here, each with the two fixtures that they have: a pytest of its own takes three seconds to start.
    """
    with importing(folder, patch):
        target, tests = find_target(name), _load_tests(folder)
        for test in tests:
            with pytest.MonkeyPatch.context() as own, provide_jobs(target, server, own) as jobs:
                test(errand_jobs=jobs, monkeypatch=own)
        return [test.__name__ for test in tests]


def _load_tests(folder: Path) -> list[Callable[..., None]]:
    (path,) = (folder / "tests").glob("test_*.py")
    module = runpy.run_path(str(path))
    return [test for name, test in module.items() if name.startswith("test_")]
