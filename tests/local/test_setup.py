"""`make setup`'s script with pythons that only pretend: what it picks, says, and leaves."""

import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.processes import list_processes
from tests.support.waiting import wait_until

# Builds an environment whose python is this script again, and writes down what it was asked for.
FAKE = """#!/bin/sh
echo "$(basename "$0") $*" >>"$LEDGER"
case "$*" in
    '-c import ensurepip, venv') exit "${HAS_VENV:-0}" ;;
    '-c import sys, ensurepip, venv;'*) exit "${HAS_VENV:-0}" ;;
    --version) echo "Python 3.x" ;;
    '-c import os, signal, sys'*) shift 2; exec REAL -c 'import os, signal, sys
os.setpgid(0, 0)
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' "$@" ;;
    '-c import os, sys; os.replace'*) exec REAL "$@" ;;
    '-m venv '*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
    *'pip install --require-hashes'*) echo "$PIP_SAYS"; eval "$PIP_DOES" ;;
esac
"""


class Clone:
    """A folder with the script and the lock files, and a PATH with nothing but tools and fake pythons."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        self.tools = folder / "bin"
        self.ledger = folder / "ledger"
        for made in (self.folder / ".ci", self.tools):
            made.mkdir(parents=True)
        self.ledger.touch()
        shutil.copy(ROOT / ".ci/setup", self.folder / ".ci")
        for name in ("requirements.txt", "requirements-dev.txt"):
            (self.folder / name).write_text(f"{name}\n")
        (self.folder / "pyproject.toml").write_text("[project]\nname = 'x'\n[dependency-groups]\n")
        tools = "sh cat cksum cut sed tail rm mv ln readlink mkdir cp basename touch"
        for tool in tools.split():
            found = shutil.which(tool)
            assert found
            (self.tools / tool).symlink_to(found)
        (self.tools / "sleep").write_text(f"#!/bin/sh\nexec {shutil.which('sleep')} 0.05\n")
        (self.tools / "sleep").chmod(0o755)

    def add_python(self, name: str, has_venv: bool = True) -> None:
        real = shutil.which("python3", path="/usr/bin") or os.path.realpath(shutil.which("python3") or "")
        text = FAKE.replace("REAL", real).replace("${HAS_VENV:-0}", "0" if has_venv else "1")
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)

    def start(self, lock: str = "requirements.txt", pip_does: str = ":", pip_says: str = "") -> subprocess.Popen[str]:
        environment = {"PATH": str(self.tools), "LEDGER": str(self.ledger), "PIP_DOES": pip_does, "PIP_SAYS": pip_says}
        return subprocess.Popen(
            ["sh", ".ci/setup", lock],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **options: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **options)
        output, errors = process.communicate(timeout=30)
        return process.returncode, output, errors

    def list_made(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob(".venv*"))


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_it_builds_an_environment_and_gives_it_the_name_at_the_end(clone: Clone) -> None:
    clone.add_python("python3.12")
    code, output, errors = clone.run()
    assert (code, errors) == (0, "")
    assert output.startswith("Setting up .venv with Python 3.x from requirements.txt, once .")
    assert output.endswith(" done\n")
    name, built = clone.list_made()
    assert (name, os.readlink(clone.folder / name)) == (".venv", built)


def test_a_second_run_does_nothing(clone: Clone) -> None:
    clone.add_python("python3.12")
    clone.run()
    clone.ledger.write_text("")
    assert clone.run() == (0, "", "")
    assert clone.ledger.read_text() == ""


def test_the_development_environment_does_for_both(clone: Clone) -> None:
    clone.add_python("python3.12")
    clone.run("requirements-dev.txt")
    assert clone.run() == (0, "", "")


@pytest.mark.parametrize(
    ("text", "builds"),
    [("[project]\nname = 'y'\n", 2), ("[project]\nname = 'x'\n[dependency-groups]\n[tool.ruff]\n", 1)],
)
def test_what_the_library_installs_builds_anew_and_a_tools_setting_does_not(
    clone: Clone, text: str, builds: int
) -> None:
    clone.add_python("python3.12")
    clone.run()
    first = os.readlink(clone.folder / ".venv")
    (clone.folder / "pyproject.toml").write_text(text)
    assert clone.run()[0] == 0
    assert len({first, os.readlink(clone.folder / ".venv")}) == builds


def test_another_lock_builds_anew_and_keeps_only_the_environment_before_it(clone: Clone) -> None:
    clone.add_python("python3.12")
    builds = []
    for text in ("one", "two", "three"):
        (clone.folder / "requirements.txt").write_text(text)
        assert clone.run()[0] == 0
        builds.append(os.readlink(clone.folder / ".venv"))
    assert clone.list_made() == sorted([".venv", *builds[1:]])  # the demo may still be running in it


def test_it_removes_no_folder_of_another_name(clone: Clone) -> None:
    clone.add_python("python3.12")
    for name in (".venv-mine", ".venv-3.12"):
        (clone.folder / name / "bin").mkdir(parents=True)
    for text in ("one", "two", "three"):
        (clone.folder / "requirements.txt").write_text(text)
        assert clone.run()[0] == 0
    assert {".venv-mine", ".venv-3.12"} <= set(clone.list_made())


def test_one_that_was_put_aside_stays_as_the_one_before_does_and_says_so(clone: Clone) -> None:
    clone.add_python("python3.12")
    (clone.folder / ".venv/bin").mkdir(parents=True)
    output = clone.run()[1]
    (aside,) = clone.folder.glob(".venv-before-*")
    assert output.endswith(f" done\nThe .venv that was here is {aside.name} until the next one is built\n")
    for text, made in (("two", 3), ("three", 3)):
        (clone.folder / "requirements.txt").write_text(text)
        assert clone.run()[0] == 0
        assert len(clone.list_made()) == made
    assert not aside.exists()


def test_venvs_of_the_persons_own_do_not_pile_up(clone: Clone) -> None:
    clone.add_python("python3.12")
    for _ in range(3):
        (clone.folder / ".venv").unlink(missing_ok=True)
        (clone.folder / ".venv/bin").mkdir(parents=True)
        assert clone.run()[0] == 0
    assert len(clone.list_made()) == 3  # .venv, what it names, and the last one that was put aside


def test_what_a_killed_build_left_goes_with_the_next_one_and_not_what_is_being_built(clone: Clone) -> None:
    clone.add_python("python3.12")
    ended = subprocess.Popen(["true"])
    ended.wait()
    for pid in (ended.pid, os.getpid()):
        (clone.folder / f".venv-1-{pid}/bin").mkdir(parents=True)
        (clone.folder / f".venv-1-{pid}.log").touch()
    assert clone.run()[0] == 0
    left = [name for name in clone.list_made() if name.startswith(".venv-1-")]
    assert left == [f".venv-1-{os.getpid()}", f".venv-1-{os.getpid()}.log"]


def test_a_venv_of_the_persons_own_is_put_aside_and_a_link_out_of_the_folder_is_left(
    clone: Clone, tmp_path: Path
) -> None:
    clone.add_python("python3.12")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "bin").mkdir(parents=True)
    (clone.folder / ".venv").symlink_to(elsewhere)
    assert clone.run()[0] == 0
    assert elsewhere.is_dir()
    (clone.folder / ".venv").unlink()
    (clone.folder / ".venv").mkdir()
    assert clone.run()[0] == 0
    assert (clone.folder / ".venv/stamp").is_file()


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (["python3.11", "python3.14", "python3.13", "python3"], "python3.14"),
        (["python3.11", "python3.12", "python3.10"], "python3.12"),
        (["python3.11", "no venv: python3.13"], "python3.11"),
        (["python3"], "python3"),
    ],
)
def test_it_takes_the_newest_python_that_has_venv(clone: Clone, names: list[str], taken: str) -> None:
    for name in names:
        clone.add_python(name.removeprefix("no venv: "), has_venv=not name.startswith("no"))
    assert clone.run()[0] == 0
    assert re.findall(r"^(python\S*) -m venv", clone.ledger.read_text(), re.MULTILINE) == [taken]


@pytest.mark.parametrize("names", [[], ["python3.10"], ["python3.12", "python3"]])
def test_without_a_fit_python_it_says_in_one_line_what_to_install(clone: Clone, names: list[str]) -> None:
    for name in names:
        clone.add_python(name, has_venv=False)
    code, output, errors = clone.run()
    assert (code, output) == (1, "")
    assert errors == (
        "errand: install Python 3.11 or newer with venv (Debian, Ubuntu: apt install python3 python3-venv; "
        "macOS: brew install python)\n"
    )
    assert clone.list_made() == []


def test_a_step_that_fails_shows_what_it_said_and_leaves_nothing(clone: Clone) -> None:
    clone.add_python("python3.12")
    code, _, errors = clone.run(pip_does="exit 1", pip_says="no such version")
    assert code == 1
    assert errors.startswith("no such version\nerrand: setting up failed at: .venv-")
    assert errors.endswith("-m pip install --require-hashes -r requirements.txt\n")
    assert clone.list_made() == []


def test_a_failed_build_leaves_the_environments_before_it(clone: Clone) -> None:
    clone.add_python("python3.12")
    clone.run()
    (clone.folder / "requirements.txt").write_text("newer")
    clone.run()
    before = clone.list_made()
    assert len(before) == 3
    (clone.folder / "requirements.txt").write_text("newest")
    assert clone.run(pip_does="exit 1")[0] == 1
    assert clone.list_made() == before


def test_make_clean_takes_all_that_it_makes(clone: Clone) -> None:
    clone.add_python("python3.12")
    (clone.folder / ".venv").mkdir()
    clone.run()
    (clone.folder / ".venv-1-2.log").touch()
    shutil.copy(ROOT / "Makefile", clone.folder)
    subprocess.run(["make", "-s", "clean"], cwd=clone.folder, check=True)
    assert clone.list_made() == []


def list_working_in(folder: Path) -> list[int]:
    """Return the processes whose working folder this is."""
    found = []
    for pid in list_processes():
        with suppress(OSError):  # it has ended, or is another user's
            if os.readlink(f"/proc/{pid}/cwd") == str(folder):
                found.append(pid)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_in_the_middle_leaves_nothing(clone: Clone, tmp_path: Path, number: int) -> None:
    clone.add_python("python3.12")
    started = tmp_path / "started"
    # pip has children of its own, which go on writing into the environment until they are ended as well.
    writing = f'(trap "" INT; while :; do mkdir -p "$(echo .venv-*-*/)lib"; touch {started}; done) & wait'
    process = clone.start(pip_does=writing)
    wait_until(started.exists)
    os.killpg(process.pid, number)
    try:
        process.communicate(timeout=10)
    except subprocess.TimeoutExpired:  # dash 0.5.12 loses a signal that comes within its vfork; a person presses again
        os.killpg(process.pid, number)
        process.communicate(timeout=10)
    assert process.returncode == 130
    assert clone.list_made() == []
    wait_until(lambda: not list_working_in(clone.folder))  # one that is killed takes a moment to go
