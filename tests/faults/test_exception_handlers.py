"""`rq worker --exception-handler`: each handler gets what RQ gives it, in the process that ran the job."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import find_runner
from tests.support.site import Site, Worker

HANDLERS = """
import json, os, time

def note(name, job, kind, error, trace):
    notes = {"handler": name, "id": job.id, "function": job.func_name, "type": kind.__name__, "text": str(error),
        "traced": trace is not None, "retries_left": job.retries_left, "status": job.get_status(refresh=False),
        "pid": os.getpid()}
    with open(os.environ["NOTES"], "a") as file:
        file.write(json.dumps(notes) + "\\n")

def first(job, *about):
    note("first", job, *about)

def broken(job, *about):
    raise RuntimeError("of the handler")

def slow(job, *about):
    time.sleep(2)

def last(job, *about):
    note("last", job, *about)
    return False

def never(job, *about):
    note("never", job, *about)
"""


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


def start(site: Site, notes: Path, *names: str) -> Worker:
    (site.project / "noting_handlers.py").write_text(HANDLERS)
    options = [option for name in names for option in ("--exception-handler", f"noting_handlers.{name}")]
    return site.start_ready_worker(*options, NOTES=str(notes))


def read(notes: Path, handler: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
    return [line for line in lines if line["handler"] == handler]


@pytest.mark.quick("ledger")
@pytest.mark.parametrize("type", ["ledger", "alone"])
def test_they_are_called_in_turn_for_each_attempt_that_fails(site: Site, notes: Path, type: str) -> None:
    worker = start(site, notes, "first", "broken", "last", "never")
    runner = find_runner(worker.pid)
    job = site.post_noted(type, then="fail")
    assert site.wait_for(job)["status"] == "failed"
    pids = [start.pid for start in site.ledger.starts(job)]
    assert site.end(worker) == 0
    for name in ("first", "last"):
        assert read(notes, name) == [
            {
                "handler": name,
                "id": job,
                "function": f"jobs.{type}.run.perform",
                "type": "ValueError",
                "text": "told to fail",
                "traced": True,
                "retries_left": left,
                "status": "failed",
                "pid": pid,
            }
            for left, pid in zip((2, 1, 0), pids, strict=True)
        ]
    assert (runner in pids) == (type == "ledger")
    assert read(notes, "never") == []
    assert site.read_log(worker).count("the exception handler broken raised") == 3


@pytest.mark.parametrize("type", ["ledger", "alone"])
def test_a_slow_one_holds_up_no_end_and_is_waited_for(site: Site, notes: Path, type: str) -> None:
    worker = start(site, notes, "slow", "first")
    job = site.post_noted(type, then="permanent")
    assert site.wait_for(job, timeout_seconds=1.5)["status"] == "failed"
    assert read(notes, "first") == []
    assert site.end(worker) == 0
    assert [line["id"] for line in read(notes, "first")] == [job]


def test_what_was_stopped_or_has_succeeded_is_no_failure(site: Site, notes: Path) -> None:
    worker = start(site, notes, "first")
    site.wait_for(site.post_noted())
    stopped = site.post_noted(seconds=20)
    site.ledger.wait_for_start(stopped)
    site.call("POST", f"/v1/jobs/{stopped}/cancel")
    site.wait_for(stopped)
    assert site.end(worker) == 0
    assert read(notes, "first") == []
