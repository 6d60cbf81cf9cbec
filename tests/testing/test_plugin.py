"""The pytest plugin in a project of somebody else's, installed as it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from errand import Errand
from errand.app.find import TargetError
from errand.testing.server import provide_server
from errand.testing.target import find_target

JOB = """
from errand import job, on_worker_start, on_worker_stop

@on_worker_start
def open(): print("opened")

@on_worker_stop
def close(): print("closed")

@job()
def run(name: str) -> str:
    print("greeting")
    return f"Hello, {name}!"
"""
TEST = """
import os
import pytest
from jobs import greet

order = []

@pytest.fixture(autouse=True)
def environment(monkeypatch):
    order.append("environment")
    monkeypatch.setenv("MAIL_FROM", "Shop <shop@example.com>")

@pytest.fixture
def client():
    order.append("client")
    return os.environ["REDIS_URL"]

def test_it(client, errand_jobs):
    assert client == errand_jobs.settings.redis_url
    assert order == ["environment", "client"]
    assert os.environ["MAIL_FROM"] == "Shop <shop@example.com>"
    id = greet.run.store_sync("Ada")
    errand_jobs.drain()
    assert errand_jobs.find(id).result == "Hello, Ada!"
"""

ON_VALKEY = """
    assert client.startswith(("unix:", "redis://:"))
    with pytest.raises(RuntimeError, match="moves the time of the fake server; Valkey's can't be moved"):
        errand_jobs.advance(1)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A service: a package `jobs`, and a test."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/__init__.py").touch()
    (tmp_path / "jobs/greet.py").write_text(JOB)
    (tmp_path / "test_it.py").write_text(TEST)
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def test_it_finds_the_jobs_of_the_folder_and_comes_before_a_client(folder: Path) -> None:
    output = run(folder, "-rP")
    assert "1 passed" in output, output
    assert [line for line in output.splitlines() if line in ("opened", "greeting", "closed")] == [
        "opened",
        "greeting",
        "closed",
    ]


@pytest.mark.thorough
def test_it_runs_on_the_bundled_valkey_where_that_is_asked_for(folder: Path) -> None:
    (folder / "test_it.py").write_text(f"{TEST}{ON_VALKEY}")
    output = run(folder, "-o", "errand_server=valkey")
    assert "1 passed" in output, output


def test_another_kind_of_server_is_refused() -> None:
    with pytest.raises(ValueError, match="ini option errand_server = redis; write fake or valkey"):
        provide_server("redis").__enter__()


def test_a_name_of_something_else_is_refused() -> None:
    with pytest.raises(
        TargetError,
        match=r"errand = tests.support.job_types:EMAIL: tests.support.job_types has no Errand named 'EMAIL'",
    ):
        find_target("tests.support.job_types:EMAIL")


def test_of_several_errands_the_one_to_test_has_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [Errand(name, builtin=["log"]) for name in ("tests.one", "tests.two")]
    monkeypatch.setattr("errand.testing.target.list_homes", lambda: others)  # without that of service/
    with pytest.raises(TargetError, match=r"the tests have .*Errand\('tests.one'\).*; say which in pytest's ini"):
        find_target("")


def test_without_fakeredis_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "fakeredis.py").write_text("raise ImportError('No module named fakeredis')")
    command = [sys.executable, "-c", "import errand.testing.redis"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "ImportError: errand.testing needs fakeredis with Lua: pip install 'rq-errand[testing]'" in done.stderr


def test_a_project_that_does_not_use_it_imports_nothing() -> None:
    code = (
        "import sys, pytest; there = set(sys.modules); import errand.testing.plugin; print(*set(sys.modules) - there)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(found.split()) == {"errand", "errand.testing", "errand.testing.plugin"}
