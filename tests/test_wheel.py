"""What is installed with the library: itself, and nothing of the application around it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from errand.cli.new.write import read_files
from tests.support.project import IGNORED, ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library's wheel, built of a copy: setuptools leaves files where it builds."""
    tmp_path = tmp_path_factory.mktemp("wheel")
    for name in ("errand", "service", "jobs", "tests/fixtures", "templates"):
        shutil.copytree(ROOT / name, tmp_path / "source" / name, ignore=IGNORED)
    for name in ("pyproject.toml", "README.md", "LICENSE", "worker.py"):
        shutil.copy(ROOT / name, tmp_path / "source")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "-w", str(tmp_path), str(tmp_path / "source")], check=True, timeout=120)
    (built,) = tmp_path.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_the_library_with_all_of_its_files_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "errand").rglob("*") if path.is_file()}
    assert names == {name for name in files if "__pycache__" not in name}
    assert {"errand/py.typed", "errand/cli/new/template/dot-gitignore.tpl"} <= names


@pytest.mark.slow
def test_a_service_is_written_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    with ZipFile(wheel) as opened:
        opened.extractall(tmp_path / "installed")
    program = "import errand; print(errand.__file__); from errand.cli.main import main; main()"
    command = [sys.executable, "-c", program, "new", "shop"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "installed")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith(str(tmp_path / "installed/errand")), done.stderr
    written = {
        path.relative_to(tmp_path / "shop").as_posix() for path in (tmp_path / "shop").rglob("*") if path.is_file()
    }
    assert written == set(read_files({}))
