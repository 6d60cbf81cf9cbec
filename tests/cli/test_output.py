"""A standard stream that is closed, or an output that takes only ASCII, changes no exit code."""

import os
import subprocess
import sys

import pytest

from tests.cli.conftest import run_errand
from tests.cli.scripted import ID, make_job
from tests.conftest import ROOT
from tests.support.receivers import Reply, ScriptedService

PATH = f"/v1/jobs/{ID}"


def run_closed(*words: str, **environment: str) -> tuple[int, str]:
    """Run the command with an output that nobody reads; return its exit code and its error output."""
    out, into = os.pipe()
    os.close(out)
    command = [sys.executable, "-m", "service", *words]
    given = {"PATH": os.environ["PATH"], **environment}
    done = subprocess.run(command, cwd=ROOT, env=given, stdout=into, stderr=subprocess.PIPE, text=True, check=False)
    os.close(into)
    return done.returncode, done.stderr


@pytest.mark.parametrize(("status", "code"), [("finished", 0), ("failed", 1)])
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_watch_that_nobody_reads_ends_as_its_job_did(
    scripted: ScriptedService, status: str, code: int, as_json: list[str]
) -> None:
    scripted.reply(f"GET {PATH}", Reply(make_job(status)))
    assert run_closed("watch", ID, *as_json, ERRAND_URL=scripted.url) == (code, "")


def test_a_status_that_nobody_reads_is_good(scripted: ScriptedService) -> None:
    scripted.reply(f"GET {PATH}", Reply(make_job()))
    assert run_closed("status", ID, ERRAND_URL=scripted.url) == (0, "")


def test_a_list_that_nobody_reads_any_more_ends_at_the_page_it_is_at(scripted: ScriptedService) -> None:
    page = {"items": [make_job(tags=["x" * 1000]) for _ in range(20)], "next": "more"}
    scripted.reply("GET /v1/jobs", *[Reply(page)] * 20, Reply({"items": [], "next": None}))
    assert run_closed("list", "--all", "--json", ERRAND_URL=scripted.url) == (0, "")
    assert len(scripted.received) < 20


@pytest.mark.parametrize("words", [["status", ID], ["watch", ID], ["list"]])
def test_what_an_ascii_output_can_not_hold_is_escaped(scripted: ScriptedService, words: list[str]) -> None:
    job = make_job("failed", type="größe", error={"type": "ValueError", "message": "ä"})
    scripted.reply(f"GET {PATH}", Reply(job))
    scripted.reply("GET /v1/jobs", Reply({"items": [job], "next": None}))
    found = run_errand(*words, ERRAND_URL=scripted.url, PYTHONIOENCODING="ascii")
    assert (found.code, found.err) == (int(words[0] == "watch"), "")
    assert "\\xe4" in found.out or "\\xf6" in found.out


def test_an_output_that_was_never_open_is_no_fault(scripted: ScriptedService) -> None:
    scripted.reply(f"GET {PATH}", Reply(make_job()))
    command = f"exec {sys.executable} -m service status {ID} >&-"
    given = {"PATH": os.environ["PATH"], "ERRAND_URL": scripted.url}
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_input_that_was_never_open_is_an_empty_one(scripted: ScriptedService) -> None:
    command = f"exec {sys.executable} -m service send email - <&-"
    given = {"PATH": os.environ["PATH"], "ERRAND_URL": scripted.url}
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "errand: the standard input is not JSON: Expecting value at line 1, column 1\n"
    assert scripted.received == []


def test_what_is_opened_later_takes_no_number_of_a_standard_stream() -> None:
    text = "import os; from errand.cli.output import steady_streams; steady_streams(); print(os.open('.', 0))"
    command = f'exec {sys.executable} -c "{text}" <&- 2>&-'
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 2
