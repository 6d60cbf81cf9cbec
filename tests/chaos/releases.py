"""The two versions of the project that workers and API run, and go back and forth between."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
OLD, NEW = 0, 1
_HEAD = '"""{}"""\n\nfrom errand import Backoff, job\nfrom jobs._noted import noted\n\n\n'
_RUN = "@job(retry=Backoff(tries=3, base_seconds=1, cap_seconds=1))\ndef run(ledger: str, number: int{}) -> None:\n"
_BODY = "    with noted(ledger, number):\n        pass\n"


def write_releases(folder: Path) -> list[Path]:
    """Make both; return their folders. They differ in a type that one has, and in the payload of a third."""
    folders = [folder / "project-1", folder / "project-2"]
    for path in folders:
        copy_project(path)
        _write(path, "changed", ", label: str" if path is folders[NEW] else "")
    _write(folders[OLD], "retired")
    _write(folders[NEW], "added")
    return folders


def copy_project(folder: Path) -> None:
    """Make a copy of the project with the job files of the tests added, as a user would add them."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("service", "jobs"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "worker.py", folder)
    for jobs in ("tests/fixtures/jobs", "tests/chaos/job_files"):
        shutil.copytree(ROOT / jobs, folder / "jobs", dirs_exist_ok=True, ignore=ignored)


def _write(folder: Path, name: str, more: str = "") -> None:
    text = _HEAD.format(f"The job {name}.") + _RUN.format(more) + _BODY
    (folder / "jobs" / f"{name}.py").write_text(text)
