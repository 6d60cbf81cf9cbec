"""`mypy --strict` sees a job's parameters, called, enqueued and added as a task."""

import subprocess
import sys
from pathlib import Path

import pytest

GOOD = """
from jobs import Depends, Progress, item, job, log
from errand.api.tasks import DurableTasks


@job(timeout_seconds=120)
def run(number: int, progress: Progress = Progress(), name: str = Depends(str)) -> float:
    log.run.enqueue("x", level="notice")
    return number / 2


result: float = run(1)
id: str = run.enqueue(1)
task: str = DurableTasks().add_task(item.run, 7)
"""
WRONG = {
    'run.enqueue("one")': "arg-type",
    "run.enqueue(1, colour=2)": "call-arg",
    "text: str = run(1)": "assignment",
    'DurableTasks().add_task(item.run, "seven")': "arg-type",
}


def check(path: Path, source: str) -> str:
    path.write_text(source)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--no-error-summary", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "greeting.py"


def test_a_job_file_is_clean(path: Path) -> None:
    assert check(path, GOOD) == ""


def test_wrong_arguments_are_found(path: Path) -> None:
    found = check(path, GOOD + "\n".join(WRONG)).splitlines()
    assert [line.rpartition("[")[2].rstrip("]") for line in found if "error" in line] == list(WRONG.values())
