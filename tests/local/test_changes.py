"""What `errand up --reload` takes for a change."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from errand.local.own_app import changes
from errand.local.own_app.changes import Changes


@pytest.fixture(autouse=True)
def _ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "LONGEST_SECONDS", 0.0)
    monkeypatch.setattr(changes, "SETTLED_SECONDS", 0.01)


def test_many_files_that_change_at_once_are_one_change(tmp_path: Path) -> None:
    (tmp_path / "gone.py").touch()
    watched = Changes(tmp_path)
    (tmp_path / "shop").mkdir()
    names = sorted(f"shop/{number:02}.py" for number in range(50))
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "gone.py").unlink()
    assert watched.find() == ["gone.py", *names]
    assert watched.find() == []


def test_what_still_goes_on_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Changes(tmp_path)
    late = [tmp_path / "c.py", tmp_path / "b.py"]
    monkeypatch.setattr(time, "sleep", lambda seconds: late.pop().touch() if late else None)
    (tmp_path / "a.py").touch()
    assert watched.find() == ["a.py", "b.py", "c.py"]
    assert watched.find() == []


def test_two_edits_of_one_length_in_one_second_are_not_missed(tmp_path: Path) -> None:
    path = tmp_path / "edited.py"
    watched = Changes(tmp_path)
    for number, value in enumerate(("old", "new")):
        path.write_text(f"print({value!r})")
        os.utime(path, ns=(1_000_000_000 + number, 1_000_000_000 + number))
        assert watched.find() == ["edited.py"]
        ran = subprocess.run(
            [sys.executable, "-c", "import edited"], cwd=tmp_path, env={}, capture_output=True, check=True
        )
        assert ran.stdout.split() == [value.encode()]


@pytest.mark.parametrize(
    "path",
    [".errand/x.py", "node_modules/x.py", "shop/__pycache__/x.py", "env/lib/x.py", "shop/notes.txt"],
)
def test_what_is_no_source_of_the_application_is_no_change(tmp_path: Path, path: str) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env/pyvenv.cfg").touch()
    watched = Changes(tmp_path)
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).touch()
    assert watched.find() == []


def test_a_file_is_asked_for_again_only_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "SHORTEST_SECONDS", 3600.0)
    monkeypatch.setattr(changes, "LONGEST_SECONDS", 3600.0)
    watched = Changes(tmp_path)
    (tmp_path / "x.py").touch()
    assert watched.find() == []
