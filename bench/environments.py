"""Each system's own environment under `.bench/`, built once from the PEP 723 header of its file."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".bench"
HEADER = re.compile(r"^# /// script\n((?:#.*\n)*?)# ///$", re.MULTILINE)


def build_environment(file: Path, name: str) -> Path:
    """Return the Python that runs `file`; its environment is built where there is none as the header says.

    A file without a header runs in the project's own. Raises subprocess.CalledProcessError when pip fails.
    """
    dependencies = read_dependencies(file.read_text())
    if not dependencies:
        return Path(sys.executable)
    folder = FOLDER / name
    python, stamp = folder / "bin/python", folder / "stamp"
    wanted = f"{sys.version}\n{dependencies}\n"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"building {folder.relative_to(ROOT)}: {' '.join(dependencies)}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", *dependencies], check=True)
        stamp.write_text(wanted)
    return python


def read_dependencies(text: str) -> list[str]:
    """Return what the PEP 723 header asks for, nothing where there is none."""
    found = HEADER.search(text)
    if not found:
        return []
    lines = [line.removeprefix("#").removeprefix(" ") for line in found[1].splitlines()]
    dependencies: list[str] = tomllib.loads("\n".join(lines))["dependencies"]
    return dependencies


def read_versions(python: Path) -> dict[str, str]:
    """Return the versions of what is installed beside `python`, by package."""
    command = [str(python), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {package["name"].lower(): package["version"] for package in listed}
