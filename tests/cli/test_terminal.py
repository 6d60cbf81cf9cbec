"""What a terminal shows, and that nothing else gets colours or live drawing."""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

import pytest

from tests.cli.conftest import run_errand
from tests.cli.scripted import ID, make_event, make_job
from tests.cli.test_queues import make_queue
from tests.conftest import ROOT
from tests.support.receivers import Reply, ScriptedService

PATH = f"/v1/jobs/{ID}"
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LONG = {"done": 1, "total": 2, "percent": 50, "message": "a long story, " * 20, "updated_at": None}


def run_on_terminal(*words: str, stop_at: str = "", **environment: str) -> tuple[int, str]:
    """Run the command on a terminal of 80 columns, with Ctrl-C once it shows `stop_at`; return its code and output."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        given = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **environment}
        os.execve(sys.executable, [sys.executable, "-m", "service", *words], given)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    shown, deadline, stopped = b"", time.monotonic() + 30, not stop_at
    while time.monotonic() < deadline:
        try:
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 65536)
        except OSError:  # it has ended
            break
        if not stopped and stop_at.encode() in shown:
            os.write(terminal, b"\x03")
            stopped = True
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


@pytest.fixture
def watched(scripted: ScriptedService) -> ScriptedService:
    scripted.reply(f"GET {PATH}", Reply(make_job("started", progress=LONG)))
    scripted.stream(f"{PATH}/events", make_event("end", "1", make_job("finished", result={"sent": True})))
    return scripted


def test_a_terminal_shows_a_bar_and_at_the_end_the_result(watched: ScriptedService) -> None:
    code, shown = run_on_terminal("watch", ID, ERRAND_URL=watched.url)
    assert code == 0
    assert "━" in shown
    assert shown.replace("\r", "").rstrip().endswith('{"sent": true}')
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # the cursor is back
    lines = [ESCAPE.sub("", part) for part in re.split(r"[\r\n]+", shown)]
    assert max(map(len, lines)) <= 80
    assert "a long story, a long story, a …" in shown


def test_ctrl_c_ends_a_watch_with_130_and_a_word(watched: ScriptedService) -> None:
    watched.reply(f"GET {PATH}/events", Reply("<h1>Bad gateway</h1>", 502))
    code, shown = run_on_terminal("watch", ID, stop_at="started", ERRAND_URL=watched.url)
    assert code == 130
    assert "errand: stopped watching; what was sent goes on" in shown
    assert "Traceback" not in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")


def test_queues_are_drawn_anew_until_ctrl_c(scripted: ScriptedService) -> None:
    again = Reply({"items": [make_queue("email", jobs={"queued": 7_001})]})
    scripted.reply("GET /v1/queues", Reply({"items": [make_queue("email")]}), again)
    code, shown = run_on_terminal("queues", stop_at="7,001", ERRAND_URL=scripted.url)
    assert code == 130
    assert "1,200" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("words", [["list"], ["status", ID], ["watch", ID], ["queues"]])
def test_a_pipe_gets_no_colour_whatever_the_environment_says(watched: ScriptedService, words: list[str]) -> None:
    watched.reply("GET /v1/jobs", Reply({"items": [make_job("failed")], "next": None}))
    watched.reply("GET /v1/queues", Reply({"items": [make_queue("email", paused=True)]}))
    found = run_errand(*words, ERRAND_URL=watched.url, FORCE_COLOR="1", TERM="xterm-256color")
    assert (found.code, found.err) == (0, "")
    assert "\x1b" not in found.out


def test_a_terminal_can_do_without_colour(watched: ScriptedService) -> None:
    _, shown = run_on_terminal("status", ID, ERRAND_URL=watched.url, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", shown)


def test_a_dumb_terminal_gets_lines(watched: ScriptedService) -> None:
    code, shown = run_on_terminal("watch", ID, ERRAND_URL=watched.url, TERM="dumb")
    assert (code, "\x1b" in shown) == (0, False)
    assert shown.splitlines()[-1] == f"{ID}  finished"


@pytest.mark.parametrize("words", ["list --json --limit 5000 | head -1", f"status {ID} --json | true"])
def test_a_reader_that_goes_away_is_no_traceback(scripted: ScriptedService, words: str) -> None:
    scripted.reply(f"GET {PATH}", Reply(make_job()))
    scripted.reply("GET /v1/jobs", Reply({"items": [make_job()] * 100, "next": "more"}))
    command = f"{sys.executable} -m service {words}"
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.dup2(write, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execve("/bin/sh", ["sh", "-c", command], {"PATH": os.environ["PATH"], "ERRAND_URL": scripted.url})
    os.close(write)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with os.fdopen(read) as errors:
        assert errors.read() == ""
