"""`make add PACKAGE=…` and `make lock`: with uv itself, a package index of one package, and a fake setup."""

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.conftest import ROOT

FILES = ("pyproject.toml", "requirements.txt", "requirements-dev.txt")
PYPROJECT = """\
[project]
name = "clone"
version = "1"
requires-python = ">=3.11"

[project.optional-dependencies]
api = []
dashboard = []
local = []

[dependency-groups]
app = []
dev = [{ include-group = "app" }]
"""


class Clone:
    """A folder with what the two commands use, whose environment has this one's python and uv."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        self.index = folder / "index"
        for made in (self.folder / ".ci", self.folder / ".venv/bin", self.index / "lamp"):
            made.mkdir(parents=True)
        for name in ("Makefile", ".ci/add", ".ci/lock", ".ci/uv"):
            shutil.copy(ROOT / name, self.folder / name)
        for name in ("python", "uv"):
            tool = Path(sys.executable).with_name(name)
            (self.folder / ".venv/bin" / name).write_text(f'#!/bin/sh\nexec "{tool}" "$@"\n')
            (self.folder / ".venv/bin" / name).chmod(0o755)
        (self.folder / ".ci/setup").write_text('echo "$@" >>"$PWD/set-up"\nexit "${SETUP_ENDS:-0}"\n')
        self.publish("1.0", "2.0")
        (self.folder / "pyproject.toml").write_text(PYPROJECT)
        for name in FILES[1:]:
            (self.folder / name).touch()

    def publish(self, *versions: str) -> None:
        """Let the index have a package."""
        links = []
        for version in versions:
            path = self.index / f"lamp/lamp-{version}-py3-none-any.whl"
            with ZipFile(path, "w") as wheel:
                info = f"lamp-{version}.dist-info"
                wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: lamp\nVersion: {version}\n")
                wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
                wheel.writestr(f"{info}/RECORD", "")
            links.append(f'<a href="{path.name}#sha256={sha256(path.read_bytes()).hexdigest()}">{path.name}</a>')
        (self.index / "lamp/index.html").write_text("\n".join(links))

    def make(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        tools = {"PATH": "/usr/bin:/bin", "PIP_INDEX_URL": self.index.as_uri(), "UV_NO_CONFIG": "1"}
        return subprocess.run(
            ["make", "-s", *words],
            cwd=self.folder,
            env={**tools, "HOME": os.environ.get("HOME", "/"), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def read(self) -> dict[str, str]:
        """Return all files by name, without the environment and the record of setups."""
        found = (path for path in self.folder.glob("[!s]*") if path.is_file())
        return {path.name: path.read_text() for path in found}

    def read_setups(self) -> list[str]:
        path = self.folder / "set-up"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


@pytest.mark.parametrize(("package", "pinned"), [("lamp", "lamp==2.0"), ("lamp < 2", "lamp==1.0")])
def test_a_package_is_added_to_the_group_the_lock_files_and_the_environment(
    clone: Clone, package: str, pinned: str
) -> None:
    done = clone.make("add", f"PACKAGE={package}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"{pinned}\nCommit pyproject.toml requirements.txt requirements-dev.txt\n")
    after = clone.read()
    assert f'"{package.replace(" ", "")}",' in after["pyproject.toml"]
    for name in FILES[1:]:
        assert after[name].startswith(f"{pinned} \\\n    --hash=sha256:")
        assert "://" not in after[name]
    assert clone.read_setups() == ["requirements-dev.txt"]


@pytest.mark.slow
def test_adding_it_again_changes_nothing(clone: Clone) -> None:
    clone.make("add", "PACKAGE=lamp")
    before = clone.read()
    done = clone.make("add", "PACKAGE=lamp")
    assert (done.returncode, clone.read()) == (0, before)
    assert done.stdout.endswith("lamp is there already\n")


@pytest.mark.slow
def test_another_range_takes_the_place_of_the_first(clone: Clone) -> None:
    clone.make("add", "PACKAGE=lamp")
    done = clone.make("add", "PACKAGE=lamp<2")
    assert done.stdout.endswith("lamp==1.0\nCommit pyproject.toml requirements.txt requirements-dev.txt\n")
    assert clone.read()["pyproject.toml"].count("lamp") == 1


@pytest.mark.parametrize(
    ("package", "said"),
    [
        ("", "errand: which package? Write make add PACKAGE=pillow, or PACKAGE='pillow>=11'\n"),
        ("lantern", "errand: lantern can't be added; nothing was changed\n"),
        ("lamp>2", "errand: lamp>2 can't be added; nothing was changed\n"),
        ("lamp oil", "errand: lamp oil can't be added; nothing was changed\n"),
        ("--help", "errand: --help can't be added; nothing was changed\n"),
        ("lamp@file:///lamp", "errand: a lock file holds no URL and no path; "),
        ("./lamp", "errand: a lock file holds no URL and no path; "),
    ],
)
def test_what_can_not_be_added_is_told_and_changes_nothing(clone: Clone, package: str, said: str) -> None:
    before = clone.read()
    done = clone.make("add", f"PACKAGE={package}")
    assert done.returncode
    assert said in done.stderr
    assert clone.read() == before
    assert not list(clone.folder.glob(".errand*"))
    assert clone.read_setups() == []


def test_what_can_not_be_installed_is_taken_back(clone: Clone) -> None:
    before = clone.read()
    done = clone.make("add", "PACKAGE=lamp", SETUP_ENDS="1")
    assert "errand: lamp can't be installed; nothing was changed\n" in done.stderr
    assert clone.read() == before
    assert not list(clone.folder.glob(".errand*"))


def test_lock_writes_what_pyproject_says_without_uv_on_the_path(clone: Clone) -> None:
    (clone.folder / "pyproject.toml").write_text(PYPROJECT.replace("app = []", 'app = ["lamp"]'))
    clone.make("lock")
    assert clone.read()["requirements.txt"].startswith("lamp==2.0")
    (clone.folder / "requirements.txt").write_text("lamp==1.0\n")
    clone.make("lock")
    assert clone.read()["requirements.txt"].startswith("lamp==1.0")  # what is pinned stays
    clone.make("lock", "OPTIONS=--upgrade")
    assert clone.read()["requirements.txt"].startswith("lamp==2.0")


def test_a_home_that_can_not_be_written_to_is_none_that_is_needed(clone: Clone) -> None:
    done = clone.make("add", "PACKAGE=lamp", HOME="/dev/null")
    assert (done.returncode, done.stderr) == (0, "")
    assert clone.read()["requirements.txt"].startswith("lamp==2.0")
