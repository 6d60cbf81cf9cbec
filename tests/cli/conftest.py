"""The command line: as a process against the real service, or in this process against a scripted one."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from errand.cli.client import follow, http
from errand.cli.main import app
from tests.conftest import ROOT
from tests.support.receivers import ScriptedService
from tests.support.services import Services, pass_coverage

KEY = "errand_" + "k" * 43


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


Errand = Callable[..., Ran]
Quick = Callable[..., Result]


def run_errand(*words: str, input: str = "", **environment: str) -> Ran:
    """Run the command as a person would; its output is a pipe."""
    command: list[str | bytes] = [
        sys.executable,
        "-m",
        "service",
        *(word.encode() for word in words),
    ]  # whatever the locale here
    given = {"PATH": os.environ["PATH"], **pass_coverage(), **environment}
    done = subprocess.run(
        command, cwd=ROOT, env=given, input=input, capture_output=True, text=True, timeout=60, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def errand(services: Services) -> Errand:
    """Runs the command against a real API with a real worker."""
    url = services.start_api()
    services.start_worker()
    return lambda *words, **more: run_errand(*words, **{"ERRAND_URL": url, **more})


@pytest.fixture
def scripted() -> Iterator[ScriptedService]:
    """A service that gives prepared answers."""
    with ScriptedService() as service:
        yield service


@pytest.fixture
def quick(scripted: ScriptedService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Quick:
    """Runs the command in this process against the scripted service, with short pauses, in a temporary folder."""
    monkeypatch.setattr(http, "PAUSES_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(follow, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    monkeypatch.chdir(tmp_path)
    return lambda *words, **more: CliRunner().invoke(
        app, words, input=more.pop("input", None), env={"ERRAND_URL": scripted.url, "ERRAND_KEY": "", **more}
    )
