"""Job files that a user adds to jobs/: served like those that come with it; no test depends on them."""

import re
import shutil
from pathlib import Path

import pytest

from tests.support import project
from tests.support.job_fixtures import FIXTURES
from tests.support.project import ROOT, copy_project
from tests.support.services import Services
from tests.support.waiting import wait_until

ADDED = FIXTURES / "added"
ASK_FOR_ALL = {  # the tests of what is found in jobs/
    "contract/test_load.py",
    "faults/conftest.py",  # over the copy
    "upgrade/conftest.py",  # what the commit before had
    "webhook/test_webhook.py",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The project with more job files."""
    copy_project(tmp_path / "project")
    shutil.copytree(ADDED, tmp_path / "project/jobs", dirs_exist_ok=True, ignore=project.IGNORED)
    return tmp_path / "project"


def list_jobs(folder: Path) -> set[str]:
    return {path.stem for path in (folder / "jobs").glob("[!_]*.py")}


def test_every_queue_of_theirs_is_served_whatever_else_they_ask_for(services: Services, folder: Path) -> None:
    services.project = folder
    worker = services.start_worker()
    services.start_api()
    listening = wait_until(lambda: re.search(r"Listening on (.+)\.\.\.", services.read_log(worker)))
    queues = [queue["name"] for queue in services.call("GET", "/v1/queues").body["items"]]
    assert ", ".join(queues) in listening[1]
    assert {"default", "digests", "images"} <= set(queues)
    assert services.wait_for(services.post("resize", {"path": "a.png", "width": 9}))["result"] == "a.png is 9 wide"
    assert services.wait_for(services.post("order", {"number": 7, "colour": "red"}))["result"] == 7
    assert services.call("GET", "/v1/schedules/jobs.digest").body["timezone"] == "Europe/Paris"


def test_the_tests_run_a_copy_without_them(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = list_jobs(folder)
    monkeypatch.setattr(project, "ROOT", folder)
    copy_project(tmp_path / "copy")
    assert list_jobs(tmp_path / "copy") == before - {path.stem for path in ADDED.glob("*.py")}


def test_the_copy_has_those_that_the_application_uses(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "service/images.py").write_text("from jobs import resize\n")
    (folder / "jobs/resize.py").write_text("from jobs import digest\n")
    monkeypatch.setattr(project, "ROOT", folder)
    copy_project(tmp_path / "copy")
    assert list_jobs(tmp_path / "copy") & {path.stem for path in ADDED.glob("*.py")} == {"digest", "resize"}


def test_no_other_test_asks_what_lies_in_jobs() -> None:
    asking = re.compile(r"\b(load_jobs|read_catalog)\(\)")
    files = {path.relative_to(ROOT / "tests").as_posix(): path for path in (ROOT / "tests").rglob("*.py")}
    assert {name for name, path in files.items() if asking.search(path.read_text())} == ASK_FOR_ALL
