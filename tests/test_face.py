"""The names that `import errand` shows, and what loading them costs a job file."""

import subprocess
import sys

import pytest

import errand
from tests.conftest import ROOT

HEAVY = "{'fastapi', 'starlette', 'sqlalchemy', 'rq', 'flask', 'smtplib'}"


def run(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def test_the_package_itself_loads_nothing() -> None:
    # Which modules Python has loaded when it starts depends on what else is installed.
    program = (
        "import importlib, sys, typing; before = set(sys.modules); import errand; print(*set(sys.modules) - before)"
    )
    assert run(program) == "errand"


def test_a_job_file_loads_no_fastapi_no_database_and_no_worker() -> None:
    program = f"import sys\nfrom errand import *\nprint(sorted({HEAVY} & set(sys.modules)))"
    assert run(program) == "[]"


@pytest.mark.parametrize("name", errand.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(errand, name).__name__ == name
    assert name in dir(errand)


def test_another_name_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'errand' has no attribute 'nothing'"):
        _ = errand.nothing


@pytest.mark.parametrize("name", sorted(set(errand.__all__) - {"Errand", "Queue", "on_worker_start", "on_worker_stop"}))
def test_jobs_still_has_the_names_of_the_release_before(name: str) -> None:
    import jobs

    assert getattr(jobs, name) is getattr(errand, name)


def test_the_application_starts_under_its_name_of_the_release_before() -> None:
    import service.api.app
    import service.app

    assert service.api.app.from_environment is service.app.from_environment
