"""The log job: whole lines, whatever they hold and however many write."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from errand import ServiceDownError
from jobs import log
from tests.conftest import ROOT
from tests.log.conftest import Open
from tests.support.job_fixtures import Perform

# What ends a line for some reader, or reverses the direction of the rest of it.
FORGING = [*"\n\r\t\x00\x0b\x0c\x1b\x1c\x1e\x7f\x85\x9b\u2028\u2029\u061c\u200e\u200f\u202a\u202e\u2066\u2069"]
TEXTS = st.lists(st.one_of(st.text(), st.sampled_from([*FORGING, "\r\n", "\\", '"', "\\u2028", "\ud800"]))).map("".join)


def test_a_plain_line_is_the_text_alone(open_log: Open) -> None:
    path = open_log("log.txt")
    log.run("Notification request received for ada@example.com")
    assert path.read_text() == "Notification request received for ada@example.com\n"


def test_a_plain_line_shows_another_level_and_attributes(open_log: Open) -> None:
    path = open_log("log.txt")
    log.run("Disk full", "critical", {"disk": "ä1"})
    assert path.read_text() == 'CRITICAL Disk full {"disk": "ä1"}\n'


def test_lines_are_added_to_those_that_are_there(open_log: Open) -> None:
    path = open_log("log.txt")
    path.write_text("first\n")
    log.run("second")
    assert path.read_text() == "first\nsecond\n"


def test_a_json_line_has_time_level_text_attributes_and_the_job(open_log: Open, perform: Perform) -> None:
    path = open_log("log.jsonl")
    job = perform("log", {"text": "Grüße", "level": "notice", "attributes": {"rows": 3}})
    line = json.loads(path.read_text())
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "notice", "text": "Grüße", "attributes": {"rows": 3}, "job": job.id}


def test_a_line_has_the_time_at_which_its_job_was_stored(open_log: Open, perform: Perform) -> None:
    path = open_log("log.jsonl")
    job = perform("log", {"text": "x"})
    assert json.loads(path.read_text())["time"] == job.created_at.isoformat(timespec="microseconds")


def test_a_line_has_its_callers_time_where_there_is_one(open_log: Open, perform: Perform) -> None:
    path = open_log("log.jsonl")
    perform("log", {"text": "x", "timestamp": "2026-11-24T01:02:03.5+01:00"})
    assert json.loads(path.read_text())["time"] == "2026-11-24T00:02:03.500000+00:00"


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("WARNING", "warning"),
        ("warn", "warning"),
        ("Fatal", "critical"),
        ("CRIT", "critical"),
        ("err", "error"),
        ("emerg", "emergency"),
        ("panic", "emergency"),
        ("informational", "info"),
        ("INFO", "info"),
    ],
)
def test_a_level_may_be_written_as_syslog_and_python_do(open_log: Open, given: str, written: str) -> None:
    path = open_log("log.jsonl")
    log.run.perform(text="x", level=given)
    assert json.loads(path.read_text())["level"] == written
    assert log.run.payload.bind("x", given) == {"text": "x", "level": written}


@pytest.mark.parametrize("character", FORGING)
@pytest.mark.parametrize("name", ["log.txt", "log.jsonl"])
def test_a_forging_character_is_written_as_its_number(open_log: Open, name: str, character: str) -> None:
    path = open_log(name)
    log.run(f"one{character}two", attributes={"key": character})
    written = path.read_bytes().decode()
    assert character not in written.removesuffix("\n")
    assert written.count("\n") == len(written.splitlines()) == 1
    if name == "log.txt":
        assert written.startswith(f"one\\u{ord(character):04x}two")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(text=TEXTS, attributes=st.dictionaries(TEXTS, TEXTS, max_size=2))
def test_any_text_is_exactly_one_more_plain_line(open_log: Open, text: str, attributes: dict[str, Any]) -> None:
    path = open_log("any.txt")
    path.write_text("before\n")
    log.run(text, attributes=attributes)
    assert len(path.read_bytes().decode().splitlines()) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(text=TEXTS, attributes=st.dictionaries(TEXTS, TEXTS, max_size=2))
def test_any_text_is_one_json_line_that_gives_it_back(open_log: Open, text: str, attributes: dict[str, Any]) -> None:
    path = open_log("any.jsonl")
    path.write_text("before\n")
    log.run(text, attributes=attributes)
    _, line = path.read_bytes().decode().splitlines()
    found = json.loads(line)
    assert (found["text"], found["attributes"]) == (text, attributes)


WRITE = """
import sys
from jobs import log
for number in range(500):
    log.run(f"{sys.argv[1]} {number} " + sys.argv[1] * (number * 20))
"""


def test_eight_processes_at_once_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    environment = {"LOG_URL": f"file:{path}", "PYTHONPATH": str(ROOT)}
    writers = [subprocess.Popen([sys.executable, "-c", WRITE, name], env=environment) for name in "abcdefgh"]
    assert [writer.wait(60) for writer in writers] == [0] * 8
    lines = path.read_text().splitlines()
    assert sorted(lines) == sorted(f"{name} {n} {name * (n * 20)}" for name in "abcdefgh" for n in range(500))


def test_a_file_that_cannot_be_written_is_no_fault_of_the_job(open_log: Open) -> None:
    path = open_log("no such folder/log.txt")
    with pytest.raises(ServiceDownError) as caught:
        log.run("text")
    assert str(caught.value) == f"the log file {path} can't be written: No such file or directory"


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"text": "x", "level": "loud"},
        {"text": "x", "level": 3},
        {"text": "x" * 100_001},
        {"text": 3},
        {"text": "x", "timestamp": "2026-11-24T00:00:00"},
        {"text": "x", "timestamp": "0001-01-01T00:00:00+01:00"},
        {"text": "x", "timestamp": "yesterday"},
    ],
)
def test_a_wrong_payload_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        log.run.payload.model.model_validate(payload)
