"""Running several processes: their output on one screen and in one file, and each started again when it ends."""

import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from honcho.colour import get_colours
from honcho.printer import Message, Printer
from honcho.process import Popen, Process

from errand.local.child_process import describe_end, die_with_parent, kill_session
from errand.local.disk import FULL
from errand.local.line_file import LineFile
from errand.service_log.line import paint

LONGEST_WAIT_SECONDS = 30.0  # between two starts; the waits double: 2, 4, 8 … s
STEADY_SECONDS = 10.0  # a process that ran this long had started well, and is started again after 1 s
KILL_SECONDS = 3.0  # after the second SIGTERM, in which an RQ worker ends its job's process
AGAIN = "starting it again in"


class ProcessOutput:
    """Takes honcho's messages; writes every line to the file, and to the screen while `on_screen`."""

    def __init__(self, path: Path, width: int) -> None:
        self._file, self._shown_fault = LineFile(path), ""
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
        self._show_fault(message)
        if self.on_screen:
            if sys.stdout.isatty():
                message = message._replace(data=_paint(message.data))
            try:
                self._printers[1].write(message)
            except OSError as error:  # the terminal was closed, or the reader of our output has ended
                self.on_screen = error.errno in FULL  # the output is a file on a full disk, which may have room again

    def _show_fault(self, message: Any) -> None:
        """Print on the screen, once, that the file can't be written."""
        fault, before = self._file.fault, self._shown_fault
        self._shown_fault = fault
        if fault and not before and self.on_screen:
            with suppress(OSError):
                self._printers[1].write(message._replace(data=f"errand.log can't be written: {fault}", name="errand"))

    def say(self, name: str, text: str) -> None:
        """Print a line of our own under a process's name."""
        self.put(Message("line", text, datetime.now(), name, None))

    def note(self, name: str, text: str) -> None:
        """Write a line of our own into the file alone."""
        with self._lock:
            self._printers[0].write(Message("line", text, datetime.now(), name, None))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _paint(data: bytes | str) -> str:
    """Return lines in the colours of their levels."""
    text = data.decode(errors="replace") if isinstance(data, bytes) else data
    return "\n".join(map(paint, text.splitlines()))


class KeptProcess:
    """A command that is started again whenever it has ended, until `stop`."""

    def __init__(self, process: Process, output: ProcessOutput) -> None:
        self._process, self._output = process, output
        self._lock = threading.Lock()
        self._is_wanted, self._is_due = True, False
        self._woken = threading.Event()
        self.ends = 0

    def run(self) -> None:
        """Start it again and again until `stop`; runs in a thread of its own."""
        wait_seconds = 1.0
        while self._begin():
            started_at = time.monotonic()
            self._process.run(self)
            if self._is_due or not self._is_wanted:
                continue
            self.ends += 1
            wait_seconds = 1.0 if time.monotonic() - started_at > STEADY_SECONDS else wait_seconds * 2
            wait_seconds = min(wait_seconds, LONGEST_WAIT_SECONDS)
            name, ended = self._process.name, describe_end(self._process._child.returncode)
            self._output.say(name, f"{name} {ended}; {AGAIN} {wait_seconds:.0f} s")
            self._woken.wait(wait_seconds)

    def restart(self) -> int | None:
        """Start it anew, at once if it waits; return the id of the process that is to end, None where none runs."""
        with self._lock:
            self._is_due = True
            self._woken.set()
            return self.signal(signal.SIGTERM)

    def stop(self) -> None:
        """Ask it to end, and don't start it again."""
        with self._lock:
            self._is_wanted = False
            self._woken.set()
            self.signal(signal.SIGTERM)

    def signal(self, number: int) -> int | None:
        """Send a signal; return the id of the process that got it, None where none runs."""
        pid = self.pid
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return pid

    @property
    def pid(self) -> int | None:
        """The id of the process that runs now, None where none runs."""
        return self._output.pids.get(self._process.name)

    def put(self, message: Any) -> None:
        """Pass on honcho's message; a process that is no longer wanted when it has started is asked to end."""
        with self._lock:
            self._output.put(message)
            if message.type == "start" and (self._is_due or not self._is_wanted):
                self.signal(signal.SIGTERM)

    def _begin(self) -> bool:
        """Return whether to start it; what is asked for after this is asked of the process that now starts."""
        with self._lock:
            self._is_due = False
            self._woken.clear()
            return self._is_wanted


class Processes:
    """Named commands that are kept running until `stop`."""

    def __init__(self, output: ProcessOutput) -> None:
        self._output = output
        self._kept: dict[str, KeptProcess] = {}
        self._threads: list[threading.Thread] = []
        self._colours = get_colours()

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], pass_fds: Sequence[int] = ()
    ) -> None:
        """Start a command and keep it running; `pass_fds` are the open files that it inherits."""
        process = Process(f"exec {shlex.join(command)}", name, next(self._colours), env=dict(environment))
        process._child_ctor = partial(Popen, preexec_fn=die_with_parent, pass_fds=pass_fds)
        self._kept[name] = KeptProcess(process, self._output)
        # The thread that starts a process lives as long as it: «die with parent» means with that thread.
        thread = threading.Thread(target=self._kept[name].run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def restart(self, names: Sequence[str], grace_seconds: float) -> None:
        """Start these anew; return when their old processes have ended, which are ended as by `stop`."""
        before = [(self._kept[name], self._kept[name].restart()) for name in names]
        self._end(lambda: [kept for kept, pid in before if pid is not None and kept.pid == pid], grace_seconds)

    def stop(self, grace_seconds: float) -> None:
        """Ask every process to end, ask again after the grace, and kill what is left KILL_SECONDS later."""
        for kept in self._kept.values():
            kept.stop()
        running = list(zip(self._kept.values(), self._threads, strict=True))
        self._end(lambda: [kept for kept, thread in running if thread.is_alive()], grace_seconds)

    @property
    def has_workers(self) -> bool:
        """Whether jobs may be running."""
        return any(name.startswith("worker") for name in self._kept)

    def count_ends(self, name: str) -> int:
        """Return how often a command has ended by itself."""
        return self._kept[name].ends

    def _end(self, list_left: Callable[[], list[KeptProcess]], grace_seconds: float) -> None:
        """Wait until none that was asked to end is left; ask again after the grace, and at last kill what is left.

        A worker that was killed may have left the process of its job, which keeps the worker's output open.
        """
        if _wait(list_left, grace_seconds):
            return
        for kept in list_left():
            kept.signal(signal.SIGTERM)  # an RQ worker takes its job's process down with it at the second one
        if _wait(list_left, KILL_SECONDS):
            return
        for kept in list_left():
            if (pid := kept.pid) is not None:
                kill_session(pid)
            kept.signal(signal.SIGKILL)
        _wait(list_left, KILL_SECONDS)


def _wait(list_left: Callable[[], list[KeptProcess]], seconds: float) -> bool:
    """Return whether none is left within so many seconds."""
    deadline = time.monotonic() + seconds
    while list_left():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
