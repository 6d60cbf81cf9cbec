"""Starts Python programs for tests by forks of a process that has imported what they need.

A worker's start takes 1.3 s of CPU, the API's 2 s, nearly all of it for imports; there are hundreds of both. What runs
is the same: `python -m MODULE …` with an environment, a folder and a session of its own.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO

# What both import, and nothing of a project's own: no jobs, no service, no worker.py.
IMPORTED = (
    "concurrent.futures.process",
    "errand.api.app",
    "errand.api.bounds",
    "errand.api.dashboard.patches",
    "errand.app.rq",
    "errand.builtin.email",
    "errand.builtin.log",
    "errand.builtin.webhook",
    "errand.fastapi",
    "errand.worker.worker",
    "rq.cli.cli",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.orm",
    "standardwebhooks",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
)
# Read by Python as it starts, or by the loader: for these it must be started.
OWN_START = ("COVERAGE_", "LD_", "PYTHON")
HARMLESS = ("PYTHONUNBUFFERED",)


class Forked:
    """A process of the server's, used as a `subprocess.Popen` is."""

    def __init__(self, server: "ForkServer", pid: int, args: tuple[str, ...]) -> None:
        self.pid = pid
        self.args = args
        self.returncode: int | None = None
        self._server = server

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        if self.poll() is None:
            handle = os.pidfd_open(self.pid)
            try:
                select.select([handle], [], [], timeout)
            finally:
                os.close(handle)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The process that has imported all, started with the first program that is wanted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._file: Any = None

    def takes(self, command: tuple[str, ...], folder: Path, environment: dict[str, str]) -> bool:
        """Return whether that command can be run by a fork, in that folder and environment."""
        if sys.platform != "linux" or command[:2] != (sys.executable, "-m") or (folder / "errand").exists():
            return False
        return not any(name.startswith(OWN_START) and name not in HARMLESS for name in environment)

    def start(self, command: tuple[str, ...], folder: Path, environment: dict[str, str], log: Path) -> Forked:
        """Run `python -m MODULE …` in a session of its own, in a folder and an environment; its output is in `log`."""
        wanted = {"argv": command[2:], "folder": str(folder), "environment": environment, "log": str(log)}
        return Forked(self, self.ask(wanted), command)

    def ask(self, question: dict[str, Any]) -> Any:
        """Send the server something and return its answer."""
        with self._lock:
            if self._file is None:
                ours, theirs = socket.socketpair()
                with theirs:
                    command = [sys.executable, __file__, str(theirs.fileno())]
                    subprocess.Popen(command, pass_fds=[theirs.fileno()])
                self._file = ours.makefile("rwb")
            self._file.write(json.dumps(question).encode() + b"\n")
            self._file.flush()
            return json.loads(self._file.readline())


def serve(line: socket.socket) -> None:
    """Answer until the other end is gone: start a program and send its id, or send how one has ended."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is imported stays; a child need not look through it
    assert len(os.listdir("/proc/self/task")) == 1, "a lock of another thread would stay locked"
    with line.makefile("rb") as file:
        while question := _wait_for_question(line, file):
            asked = json.loads(question)
            if "poll" in asked:
                line.sendall(json.dumps(_poll(asked["poll"])).encode() + b"\n")
            elif os.fork() == 0:
                break  # by way of here, so that the program is not run inside of what this function does
        else:
            os._exit(0)
    _prepare(asked)
    line.sendall(f"{os.getpid()}\n".encode())  # not earlier: whoever knows the id may kill the session by it
    line.close()
    program, *sys.argv[1:] = asked["argv"]
    runpy.run_module(program, run_name="__main__", alter_sys=True)


def _wait_for_question(line: socket.socket, file: BinaryIO) -> bytes:
    """Return the next question; b"" when the asking process is gone, though another child of it keeps the line open."""
    parent = os.getppid()
    while not select.select([line], [], [], 1.0)[0]:
        if os.getppid() != parent:
            return b""
    return file.readline()


def _poll(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _prepare(asked: dict[str, Any]) -> None:
    """Become what the program would be if it had been started."""
    os.setsid()
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    if "PYTHONUNBUFFERED" in os.environ and isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(write_through=True)
    sys.path.insert(0, asked["folder"])
    importlib.invalidate_caches()


if __name__ == "__main__":
    del sys.path[0]  # the tests' folder: tests/redis is not redis
    serve(socket.socket(fileno=int(sys.argv[1])))
