"""The tests run the same however they are started: under nohup, in the background, without an input."""

import os
import signal
import subprocess
import sys

import pytest

from tests.support.project import ROOT
from tests.support.surroundings import SIGNALS

SETTLE = "from tests.support.surroundings import pytest_configure; pytest_configure()"
# A shell that ignores a signal, and tests in it that start a program of their own.
IGNORING = f"""
import os, signal, subprocess, sys
number = int(sys.argv[1])
signal.signal(number, signal.SIG_IGN)
{SETTLE}
if sys.argv[2] == "self":
    os.kill(os.getpid(), number)
else:
    child = subprocess.Popen(["sleep", "20"])
    child.send_signal(number)
    sys.exit(-child.wait())
"""


def run(who: str, number: int) -> int:
    command = [sys.executable, "-c", IGNORING, str(int(number)), who]
    return subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode


@pytest.mark.parametrize("number", SIGNALS)
def test_what_a_test_starts_heeds_a_signal_that_the_run_is_to_ignore(number: int) -> None:
    assert run("child", number) == number


def test_a_run_under_nohup_is_not_ended_by_a_terminal_that_closes() -> None:
    assert run("self", signal.SIGHUP) == 0


def test_files_are_read_as_utf_8_in_any_locale() -> None:
    text = f"{SETTLE}; print(open('README.md').encoding)"
    ascii_alone = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, env=ascii_alone, capture_output=True, text=True)
    assert done.stdout == "UTF-8\n"


@pytest.mark.parametrize("before", ["", "pypi.example"])
def test_a_proxy_is_not_asked_for_this_machine(before: str) -> None:
    text = f"import urllib.request\n{SETTLE}\nprint(urllib.request.proxy_bypass('127.0.0.1:80'))"
    beside_a_proxy = {"PATH": os.environ["PATH"], "HTTP_PROXY": "http://proxy.example:80", "NO_PROXY": before}
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, env=beside_a_proxy, capture_output=True, text=True)
    assert done.stdout.strip() in ("1", "True")
