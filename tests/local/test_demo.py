"""The demo as a newcomer runs it: in a terminal, until Ctrl-C."""

import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from errand.local import demo_posts
from errand.local.request import call
from errand.local.settings import UpOptions
from errand.local.valkey import find_free_port
from tests.conftest import ROOT
from tests.local.running import read_place
from tests.support.curl import provide_curl
from tests.support.processes import find_descendants, list_processes
from tests.support.waiting import wait_until

STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SMALL = "from errand.local import demo_posts; demo_posts.BATCH_SIZE = 8; from errand.cli.main import app; app()"
# What the demo must ignore: nothing of it may leave the machine.
OUTSIDE = {
    "REDIS_URL": "redis://redis.invalid:6379/0",
    "SMTP_URL": "smtp://smtp.invalid",
    "MAIL_FROM": "someone@smtp.invalid",
    "API_KEYS": "nonsense",
    "DATABASE_URL": "postgres://db.invalid/x",
    "LOG_URL": "file:elsewhere.txt",
    "DASHBOARD_PASSWORD": "secret",
}


class Terminal:
    """A command that has a terminal of its own, 80 columns wide."""

    def __init__(self, folder: Path, command: list[str], environment: dict[str, str]) -> None:
        self._written = b""
        self.family: set[int] = set()
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, {"TERM": "xterm", "COLUMNS": "80", **environment})

    def read_until(self, text: str = "", timeout_seconds: float = 60) -> str:
        """Read until `text` was seen, or to the end; return all that was written so far, without its styles."""
        deadline = time.monotonic() + timeout_seconds
        while not text or text not in self.output:
            assert select.select([self._terminal], [], [], max(0, deadline - time.monotonic()))[0], self.output
            try:
                read = os.read(self._terminal, 65536)
            except OSError:  # Linux's way to say that the other end is closed
                read = b""
            if not read:
                assert not text, self.output
                break
            self._written += read
        return self.output

    @property
    def output(self) -> str:
        return STYLE.sub("", self._written.decode(errors="replace")).replace("\r\n", "\n")

    def type_ctrl_c(self) -> int:
        """Type it, read to the end, and return the exit code."""
        self.family = find_descendants(self.pid)
        os.write(self._terminal, b"\x03")
        self.read_until()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def clean_up(self) -> None:
        for pid in {self.pid, *self.family, *find_descendants(self.pid)} & set(list_processes()):
            os.kill(pid, signal.SIGKILL)
        os.close(self._terminal)


def read(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def demo(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Terminal, Path, str]]:
    """The demo once its bars are full: the terminal, its folder and the API's URL."""
    folder, port = tmp_path_factory.mktemp("demo"), find_free_port()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(project), **OUTSIDE}
    terminal = Terminal(folder, [sys.executable, "-c", SMALL, "demo", "--port", str(port)], environment)
    terminal.read_until("what the processes say follows")
    yield terminal, folder, f"http://127.0.0.1:{port}"
    terminal.clean_up()


def test_its_bars_move_and_reach_100_percent(demo: tuple[Terminal, Path, str]) -> None:
    output = demo[0].output
    for bar in ("notification: e-mail", "notification: log", "8 e-mails"):
        percents = [int(percent) for percent in re.findall(rf"{bar} .*?(\d+) %", output)]
        assert (percents[0], percents[-1]) == (0, 100)
        assert percents == sorted(percents)
    between = {int(percent) for percent in re.findall(r"8 e-mails .*?(\d+) %", output)} - {0, 100}
    assert len(between) >= 3
    assert "4 finished, 4 failed" in output


def test_it_shows_the_console_before_all_else(demo: tuple[Terminal, Path, str]) -> None:
    terminal, _, url = demo
    assert re.findall(r"http://[^\s,]+", terminal.output)[0] == f"{url}/console"
    request = urllib.request.Request(url, headers={"Accept": "text/html"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.url == f"{url}/console"


def test_there_is_something_of_each_to_look_at(demo: tuple[Terminal, Path, str]) -> None:
    url = demo[2]

    def count(query: str) -> int:
        return len(read(f"{url}/v1/jobs?{query}")["items"])

    (group,) = read(f"{url}/v1/dead-letters/groups")["items"]
    assert (group["count"], group["error"]["type"]) == (4, "RefusedError")
    assert count("tag=newsletter") == 8
    assert count("tag=order-1042") == 4
    assert count("type=item") == 6
    assert count("tag=reminder&status=scheduled") == 1
    assert [schedule["name"] for schedule in read(f"{url}/v1/schedules")["items"]] == ["demo-every-minute"]


def test_its_mails_and_the_log_line_lie_where_it_says(demo: tuple[Terminal, Path, str]) -> None:
    terminal, folder, url = demo
    data = f".errand-{url.rpartition(':')[2]}"
    assert re.search(rf"\b[5-9] mails are in {re.escape(data)}/mail/, log lines in log.txt", terminal.output)
    mails = [mail.read_text() for mail in (folder / data / "mail").glob("*.eml")]
    assert sum("\nSubject: News " in mail for mail in mails) == 4
    assert sum("\nSubject: Notification" in mail for mail in mails) == 1
    assert "Notification request received for ada@example.com" in (folder / "log.txt").read_text()


def test_settings_in_the_environment_are_not_heeded(demo: tuple[Terminal, Path, str]) -> None:
    terminal, folder, _ = demo
    assert "(Valkey, every write on disk)" in read_place(terminal.output, "Redis")
    assert "(a local SMTP sink)" in read_place(terminal.output, "Mail")
    assert not (folder / "elsewhere.txt").exists()


def test_the_addresses_it_prints_answer(demo: tuple[Terminal, Path, str]) -> None:
    terminal, _, url = demo
    printed = set(re.findall(r"http://[^\s,]+(?=[\s,])", terminal.output))
    assert {url, f"{url}/docs", f"{url}/dashboard"} <= printed
    for address in (url, f"{url}/docs", f"{url}/dashboard"):
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert answer.status == 200


def test_the_curl_line_it_prints_sends_a_mail(demo: tuple[Terminal, Path, str], tmp_path: Path) -> None:
    terminal, folder, _ = demo
    (line,) = re.findall(r"^  (curl .*)$", terminal.output, re.MULTILINE)
    answer = subprocess.run(
        ["sh", "-c", line], cwd=folder, env=provide_curl(tmp_path), capture_output=True, text=True, check=True
    )
    assert '"status":"queued"' in answer.stdout
    wait_until(lambda: any("you@example.com" in mail.read_text() for mail in folder.glob(".errand-*/mail/*.eml")))


def test_what_it_posts_can_be_posted_again(demo: tuple[Terminal, Path, str]) -> None:
    url = demo[2]
    options = UpOptions("127.0.0.1", int(url.rpartition(":")[2]), Path(), 1)
    for post in demo_posts.POSTS:
        assert post.send(lambda path, body, method: call(options, path, body, method)) is not None
    assert len(read(f"{url}/v1/jobs?tag=reminder")["items"]) == 1


def test_ctrl_c_ends_it_with_0_and_leaves_no_process(demo: tuple[Terminal, Path, str]) -> None:
    terminal = demo[0]
    assert terminal.type_ctrl_c() == 0
    assert terminal.family
    assert not terminal.family & set(list_processes())
    assert terminal.output.endswith("Stopped.\n")


@pytest.mark.thorough
def test_ctrl_c_ends_make_demo_with_0_too(tmp_path: Path) -> None:
    folder = copy_with_environment(tmp_path / "clone")
    environment = {"PATH": os.environ["PATH"]}
    terminal = Terminal(folder, ["make", "demo", f"PORT={find_free_port()}"], environment)
    try:
        terminal.read_until("what the processes say follows")
        assert "Setting up" not in terminal.output
        assert terminal.type_ctrl_c() == 0
        assert not terminal.family & set(list_processes())
        assert "make: ***" not in terminal.output
    finally:
        terminal.clean_up()


@pytest.mark.thorough
def test_without_a_terminal_it_prints_plain_lines(project: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "service", "demo", "--port", str(find_free_port())]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(project), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as demo:
        assert demo.stdout is not None
        lines = []
        for line in demo.stdout:
            lines.append(line)
            if "what the processes say follows" in line:
                demo.send_signal(signal.SIGINT)
    assert demo.returncode == 0
    assert "\x1b" not in "".join(lines)
    assert sum("100 %" in line for line in lines) == 3
    assert all(len(line) <= 81 for line in lines if " %" in line)


def copy_with_environment(folder: Path) -> Path:
    """Copy what `make demo` needs, with this environment under the name .venv, so that nothing is downloaded."""
    folder.mkdir()
    for name in ("errand", "service", "jobs", ".ci"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("worker.py", "Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv/bin").mkdir(parents=True)
    python = folder / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    (stamping,) = re.findall(r"^stamp\(\) .*$", (folder / ".ci/setup").read_text(), re.M)
    stamp = subprocess.run(f"{stamping}\nstamp requirements.txt", shell=True, cwd=folder, capture_output=True)
    (folder / ".venv/stamp").write_bytes(stamp.stdout)
    return folder
