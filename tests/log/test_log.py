"""The log job: whole lines, whatever they hold and however many write."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from errand.log.settings import LogSettings
from jobs import log
from tests.conftest import ROOT
from tests.performing import Perform

Open = Callable[[str], Path]

# What ends a line somewhere, or turns the direction of the rest of it.
FORGING = [*"\n\r\t\x00\x0b\x0c\x1b\x1c\x1e\x7f\x85\x9b\u2028\u2029\u061c\u200e\u200f\u202a\u202e\u2066\u2069"]
TEXTS = st.lists(st.one_of(st.text(), st.sampled_from([*FORGING, "\r\n", "\\", '"', "\\u2028", "\ud800"]))).map("".join)


@pytest.fixture
def open_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Points LOG_URL to a file of that name."""

    def open_log(name: str) -> Path:
        monkeypatch.setenv("LOG_URL", f"file:{tmp_path / name}")
        return tmp_path / name

    return open_log


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


def test_stdout_gets_json_lines(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LOG_URL", "stdout:")
    log.run("one\ntwo")
    assert json.loads(capfd.readouterr().out)["text"] == "one\ntwo"


def test_stdout_is_where_lines_go_unless_told_otherwise() -> None:
    assert LogSettings().log_url == "stdout:"


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


@pytest.mark.parametrize("url", ["", "log.txt", "file:log", "file:log.csv", "stdout", "https://example.com/x.txt"])
def test_a_bad_log_url_says_what_to_write(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("LOG_URL", url)
    with pytest.raises(ValidationError) as caught:
        LogSettings()
    (fault,) = caught.value.errors()
    assert fault["loc"] == ("LOG_URL",)
    assert fault["msg"] == ("Value error, write file:NAME.txt (plain lines), file:NAME.jsonl (JSON lines) or stdout:")


def test_a_file_that_cannot_be_written_fails_the_attempt(open_log: Open) -> None:
    open_log("no such folder/log.txt")
    with pytest.raises(FileNotFoundError):
        log.run("text")


@pytest.mark.parametrize("payload", [{}, {"text": "x", "level": "loud"}, {"text": "x" * 100_001}, {"text": 3}])
def test_a_wrong_payload_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        log.run.payload.model.model_validate(payload)
