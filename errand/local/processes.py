"""Running several processes: their output on one screen and in one file, and each started again when it dies."""

import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from honcho.colour import get_colours
from honcho.printer import Message, Printer
from honcho.process import Popen, Process

from errand.local.child import describe_end, die_with_parent, kill_session
from errand.logs.line import paint

LONGEST_WAIT_SECONDS = 30.0
STEADY_SECONDS = 10.0


class Output:
    """Takes honcho's messages; every line goes to the file, and to the screen while `on_screen`."""

    def __init__(self, path: Path, width: int) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._printers = [Printer(self._file, width=width), Printer(sys.stdout, width=width)]
        self._lock = threading.Lock()
        self.on_screen = True
        self.pids: dict[str, int] = {}

    def put(self, message: Any) -> None:
        """Take one message, from any thread."""
        with self._lock:
            if message.type == "start":
                self.pids[message.name] = message.data["pid"]
            elif message.type == "stop":
                self.pids.pop(message.name, None)
            else:
                self._write(message)

    def _write(self, message: Any) -> None:
        self._printers[0].write(message)
        if self.on_screen:
            if sys.stdout.isatty():
                message = message._replace(data=_paint(message.data))
            try:
                self._printers[1].write(message)
            except OSError:  # the terminal was closed, or what read our output has ended
                self.on_screen = False

    def say(self, name: str, text: str) -> None:
        """Print a line of our own under a process's name."""
        self.put(Message("line", text, datetime.now(), name, None))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _paint(data: bytes | str) -> str:
    """Return lines in the colours of their levels."""
    text = data.decode(errors="replace") if isinstance(data, bytes) else data
    return "\n".join(map(paint, text.splitlines()))


class Processes:
    """Named commands that are to run until `stop`."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._colours = get_colours()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a command and keep it running."""
        keep = partial(self._keep, name, f"exec {shlex.join(command)}", dict(environment), next(self._colours))
        # The thread that starts a process lives as long as it: «die with parent» means with that thread.
        thread = threading.Thread(target=keep, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self, grace_seconds: float) -> None:
        """Ask every process to end, ask again after the grace, and kill what is then left 3 seconds later.

        A worker that was killed may have left the process of its job, which keeps the worker's output open.
        """
        self._stopping.set()
        self._signal(signal.SIGTERM)
        if not self._wait(grace_seconds):
            self._signal(signal.SIGTERM)  # an RQ worker takes its job's process down with it at the second one
            if not self._wait(3):
                for pid in list(self._output.pids.values()):
                    kill_session(pid)
                self._signal(signal.SIGKILL)
                self._wait(3)

    def _keep(self, name: str, command: str, environment: dict[str, str], colour: str) -> None:
        wait_seconds = 1.0
        while not self._stopping.is_set():
            process = Process(command, name=name, colour=colour, env=environment)
            process._child_ctor = partial(Popen, preexec_fn=die_with_parent)
            started_at = time.monotonic()
            process.run(self._output)
            if self._stopping.is_set():
                return
            wait_seconds = 1.0 if time.monotonic() - started_at > STEADY_SECONDS else wait_seconds * 2
            wait_seconds = min(wait_seconds, LONGEST_WAIT_SECONDS)
            ended = describe_end(process._child.returncode)
            self._output.say(name, f"{name} {ended}; starting it again in {wait_seconds:.0f} s")
            self._stopping.wait(wait_seconds)

    def _signal(self, number: int) -> None:
        for pid in list(self._output.pids.values()):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _wait(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)
