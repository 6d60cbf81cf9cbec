"""`errand new`: what it writes, refuses, and shares with this repository's own application."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from errand.cli.main import app
from errand.cli.new.write import read_files
from tests.support.project import ROOT

FILES = read_files({"name": "shop", "range": ">=1.2,<2"})
README_JOB = re.search(r"```python\n# jobs/greet.py\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(name: str) -> Result:
    return CliRunner().invoke(app, ["new", name])


def list_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_service_is_written_and_the_two_commands_that_run_it_are_told(folder: Path) -> None:
    found = new("shop-jobs")
    assert found.exit_code == 0
    assert found.stdout.endswith("\n    cd shop-jobs && pip install -e '.[dev]'\n    errand up\n\n")
    assert {"service/app.py", "jobs/greet.py", "worker.py", "Procfile", "pyproject.toml", "Dockerfile", "README.md"} < (
        list_files(folder / "shop-jobs")
    )
    assert {".gitignore", ".dockerignore", "tests/test_greet.py"} < list_files(folder / "shop-jobs")


def test_no_place_is_left_empty_and_every_file_is_what_it_says() -> None:
    for name, text in FILES.items():
        assert "{{" not in text, name
        if name.endswith(".py"):
            ast.parse(text)
    asked = tomllib.loads(FILES["pyproject.toml"])["project"]
    assert (asked["name"], asked["dependencies"]) == ("shop", ["rq-errand[api,dashboard]>=1.2,<2"])


@pytest.mark.parametrize(
    ("version", "asked"),
    [("0.1.0", ">=0.1.0,<0.2"), ("0.9.4", ">=0.9.4,<0.10"), ("1.4.2", ">=1.4.2,<2"), ("2.0.0", ">=2.0.0,<3")],
)
def test_it_asks_for_the_version_that_wrote_it_up_to_the_next_that_may_break_it(
    monkeypatch: pytest.MonkeyPatch, folder: Path, version: str, asked: str
) -> None:
    monkeypatch.setattr("errand.cli.new.write.version", lambda _: version)
    new("shop")
    assert f'"rq-errand[api,dashboard]{asked}"' in (folder / "shop/pyproject.toml").read_text()


@pytest.mark.parametrize("name", ["", "a b", "../shop", "/shop", ".", "9lives", "shop-", "ä", "shop\n", "-"])
def test_a_name_that_no_distribution_can_have_is_refused(folder: Path, name: str) -> None:
    found = CliRunner().invoke(app, ["new", "--", name])
    assert (found.exit_code, found.stdout) == (1, "")
    told = "can't be a service's name: letters, digits, - and _, a letter first, as in errand new shop-jobs\n"
    assert found.stderr == f"errand: {name!r} {told}"
    assert list_files(folder) == set()


@pytest.mark.parametrize("name", ["errand", "rq-errand", "RQ_Errand"])
def test_the_librarys_own_name_is_refused(name: str) -> None:
    assert new(name).stderr == (
        f"errand: {name} is the library's own name; choose another, as in errand new shop-jobs\n"
    )


def test_a_folder_that_holds_something_is_left_as_it_is(folder: Path) -> None:
    (folder / "shop").mkdir()
    (folder / "shop/notes.txt").touch()
    found = new("shop/")
    assert (found.exit_code, found.stderr) == (
        1,
        "errand: shop/ is not empty: there is notes.txt; choose another name\n",
    )
    assert list_files(folder) == {"shop/notes.txt"}


def test_an_empty_folder_and_a_new_repository_are_filled(folder: Path) -> None:
    (folder / "shop/.git").mkdir(parents=True)
    assert new("shop").exit_code == 0
    assert (folder / "shop/worker.py").exists()


def test_a_file_of_that_name_is_told(folder: Path) -> None:
    (folder / "shop").touch()
    assert new("shop").stderr == "errand: shop exists and is not a folder; choose another name\n"


def test_a_folder_that_can_not_be_written_is_told(folder: Path) -> None:
    (folder / "shop").symlink_to("/proc/nothing")
    found = new("shop")
    assert found.exit_code == 1
    assert re.fullmatch(r"errand: \S+ can't be written: .+\n", found.stderr)


@pytest.mark.slow
def test_its_own_test_passes(folder: Path) -> None:
    new("shop")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder / "shop", env=environment, capture_output=True, text=True, check=False)
    assert "2 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("options", [["check"], ["format", "--check"]], ids=" ".join)
def test_its_files_are_formed_as_ruff_forms_them(folder: Path, options: list[str]) -> None:
    new("shop")
    settings = ["--isolated", "--no-cache", "--config", "line-length=120"]
    rules = ["--select", "E,F,W,I,UP,D1", "--ignore", "D103"] if options == ["check"] else []
    command = [sys.executable, "-m", "ruff", *options, *settings, *rules]
    done = subprocess.run(command, cwd=folder / "shop", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_worker_the_readmes_job_and_the_processes_are_ours() -> None:
    assert FILES["worker.py"] == (ROOT / "worker.py").read_text()
    assert README_JOB
    assert FILES["jobs/greet.py"] == README_JOB[1]
    ours = (ROOT / "Procfile").read_text().replace("python -m service check", "errand check")
    assert FILES["Procfile"] == ours


def test_the_service_is_built_as_ours_is() -> None:
    ours = (ROOT / "service/app.py").read_text()
    assert "routers=[tutorial.router], open_routers=[tutorial.hello]" in ours
    ours = ours.replace("routers=[tutorial.router], open_routers=[tutorial.hello]", "routers=[endpoints.router]")
    ours = ours.replace("import tutorial", "import endpoints")
    # There `errand` is another's library, and stands apart.
    theirs = FILES["service/app.py"].replace("import Service\n\n", "import Service\n")
    assert theirs.splitlines()[1:] == ours.splitlines()[1:]
