"""Lines on standard output: a pipe, a file, a terminal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import log
from tests.conftest import ROOT
from tests.log.conftest import LIMITED

ENVIRONMENT = {"LOG_URL": "stdout:", "PYTHONPATH": str(ROOT)}
WRITE = """
import sys
from jobs import log
for number in range(100):
    log.run(f"{sys.argv[1]} {number} " + sys.argv[1] * 9000)
"""


def test_stdout_gets_json_lines(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LOG_URL", "stdout:")
    log.run("one\ntwo")
    assert json.loads(capfd.readouterr().out)["text"] == "one\ntwo"


def test_processes_that_share_a_pipe_write_whole_lines(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    writers = [subprocess.Popen([sys.executable, "-c", WRITE, name], env=ENVIRONMENT, stdout=writer) for name in "abcd"]
    os.close(writer)
    with open(reader) as pipe:
        lines = [json.loads(line)["text"] for line in pipe]
    assert [one.wait(60) for one in writers] == [0] * 4
    assert sorted(lines) == sorted(f"{name} {n} " + name * 9000 for name in "abcd" for n in range(100))


def test_a_pipe_that_is_full_and_does_not_block_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    one = subprocess.Popen([sys.executable, "-c", WRITE, "a"], env=ENVIRONMENT, stdout=writer)
    os.close(writer)
    with open(reader) as pipe:
        lines = [json.loads(line)["text"] for line in pipe]
    assert one.wait(60) == 0
    assert lines == [f"a {n} " + "a" * 9000 for n in range(100)]


@pytest.mark.parametrize("mode", ["w", "a"])
def test_a_file_that_can_grow_no_more_keeps_no_half_line(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "out"
    with path.open(mode) as output:
        said = subprocess.run(
            [sys.executable, "-c", f'{LIMITED}print("printed", flush=True)'],
            env=ENVIRONMENT,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        )
    assert said.stderr == "standard output can't be written: File too large\n"
    *lines, printed = path.read_text().splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["before", "after"]
    assert printed == "printed"


def test_a_reader_that_has_gone_is_no_fault_of_the_line() -> None:
    script = "from jobs import log\nlog.run('x')"
    reader, writer = os.pipe()
    os.close(reader)
    one = subprocess.run(
        [sys.executable, "-c", script], env=ENVIRONMENT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert "ServiceDownError: standard output can't be written: Broken pipe" in one.stderr
