"""What docs/testing.md shows works as written."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import ROOT, copy_project

PAGE = (ROOT / "docs/testing.md").read_text()
FILES = {name: content for _, name, content in re.findall(r"```(python|toml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)}


def run(folder: Path, test: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", test]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(FILES[name])


def test_the_application_and_its_tests_run_as_they_stand(tmp_path: Path) -> None:
    write(tmp_path, *(name for name in FILES if name != "tests/test_service.py"))
    output = run(tmp_path, "tests/test_signup.py")
    assert "3 passed" in output, output


@pytest.mark.thorough
def test_the_services_test_runs_as_it_stands(tmp_path: Path) -> None:
    copy_project(tmp_path)
    write(tmp_path, "tests/test_service.py")
    output = run(tmp_path, "tests/test_service.py")
    assert "1 passed" in output, output


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".py")])
def test_its_files_pass_make_check(name: str) -> None:
    options = ["--no-cache", "--ignore", "D,I001,PT011", "--stdin-filename", name]  # a reader's folders are others
    command = [sys.executable, "-m", "ruff", "check", *options, "-"]
    done = subprocess.run(command, cwd=ROOT, input=FILES[name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
