"""Copies of the project, for tests that run it as processes."""

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
OWN = ("email", "item", "log", "webhook")  # the job files that come with this project
IGNORED = shutil.ignore_patterns("__pycache__")


def copy_project(folder: Path) -> None:
    """Copy it without the job files that somebody has added: a cron of theirs would run jobs of its own in a test."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "service", folder / "service", ignore=IGNORED)
    shutil.copytree(ROOT / "jobs", folder / "jobs", ignore=IGNORED)
    shutil.copytree(ROOT / "templates", folder / "templates")
    for name in ("worker.py", "Procfile"):
        shutil.copy(ROOT / name, folder)
    for path in _find_added(folder):
        path.unlink()


def _find_added(folder: Path) -> list[Path]:
    """Return the job files that are neither the project's own nor used by what is: a route in service/ may post one."""
    jobs = {path.stem: path for path in (folder / "jobs").glob("*.py")}
    kept = {name for name in jobs if name in OWN or name.startswith("_")}
    unread = [*(folder / "service").rglob("*.py"), *(jobs[name] for name in kept)]
    while unread:
        words = set(re.findall(r"\w+", unread.pop().read_text()))
        more = (words & jobs.keys()) - kept
        unread += [jobs[name] for name in more]
        kept |= more
    return [path for name, path in jobs.items() if name not in kept]
