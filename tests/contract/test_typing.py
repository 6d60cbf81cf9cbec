"""`mypy --strict` sees a job's parameters, called, enqueued and added as a task."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_readme import FILES

GOOD = """
from errand import Depends, Progress, job
from jobs import log
from errand.api.background_tasks import DurableTasks


@job(timeout_seconds=120)
def run(number: int, progress: Progress = Progress(), name: str = Depends(str)) -> float:
    log.run.enqueue("x", level="notice")
    return number / 2


result: float = run(1)
id: str = run.enqueue(1)
task: str = DurableTasks().add_task(run, 7)
"""
WRONG = {
    'run.enqueue("one")': "arg-type",
    "run.enqueue(1, colour=2)": "call-arg",
    "text: str = run(1)": "assignment",
    'DurableTasks().add_task(run, "seven")': "arg-type",
}


def check(*paths: Path) -> str:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--no-error-summary", *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "greeting.py"


@pytest.mark.thorough
def test_a_job_file_is_clean_and_so_is_the_readmes(path: Path, tmp_path: Path) -> None:
    path.write_text(GOOD)
    readmes = tmp_path / "greet.py"
    readmes.write_text(dict(FILES)["jobs/greet.py"])
    assert check(path, readmes) == ""


@pytest.mark.thorough
def test_wrong_arguments_are_found(path: Path) -> None:
    path.write_text(GOOD + "\n".join(WRONG))
    found = check(path).splitlines()
    assert [line.rpartition("[")[2].rstrip("]") for line in found if "error" in line] == list(WRONG.values())
