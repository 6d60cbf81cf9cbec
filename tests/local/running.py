"""`python -m service …` as a person runs it: a process over a copy of the project, in a folder of its own."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from errand.local.valkey import find_free_port
from tests.support.processes import find_descendants, list_processes, read_command, send
from tests.support.services import Services, pass_coverage
from tests.support.waiting import wait_until


class Running:
    """One `errand up` (or another command) whose output is kept; `call` and `post` speak to its API."""

    def __init__(
        self,
        project: Path,
        folder: Path,
        *options: str,
        before: str = "",
        own: tuple[str, ...] = (),
        **settings: str,
    ) -> None:
        """`before` are statements that are run ahead of the command, to change a constant; `own` are
        the arguments that name a user's own application.
        """
        self.port = find_free_port()
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / f"{self.port}.out"
        given = {"--port": str(self.port), "--data": str(self.data)}
        given |= dict(zip(options[::2], options[1::2], strict=True))
        self.port = int(given["--port"])
        words = [word for pair in given.items() for word in pair]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(project), "PYTHONUNBUFFERED": "1"}
        environment |= pass_coverage() | settings
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"{before}\nfrom errand.cli.main import main\nmain()", "up", *own, *words],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.api = Services(project, environment, folder)
        self.api.base_url = f"http://127.0.0.1:{self.port}"
        self.family: set[int] = set()

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until the output holds a text so many times."""

        def said() -> bool:
            assert self.output.count(text) >= times or self.process.poll() is None, self.output
            return self.output.count(text) >= times

        wait_until(said, 30)

    def wait_until_ready(self) -> "Running":
        self.wait_for("what the processes say follows")
        return self

    def find(self, words: str) -> int:
        """Return the id of the one child whose command line holds `words`."""
        children = [pid for pid in self.descendants() if list_processes()[pid][0] == self.process.pid]
        (pid,) = [pid for pid in children if words in read_command(pid)]
        return pid

    def descendants(self) -> set[int]:
        """Return what runs below it now; `end` and `assert_all_gone` remember all that was ever seen."""
        found = find_descendants(self.process.pid)
        self.family |= found
        return found

    def kill(self, words: str) -> None:
        os.kill(self.find(words), signal.SIGKILL)

    def end(self, number: int = signal.SIGINT, timeout_seconds: float = 30) -> int:
        """Send a signal; return the exit code."""
        self.descendants()
        self.process.send_signal(number)
        return self.process.wait(timeout_seconds)

    def assert_all_gone(self, timeout_seconds: float = 0) -> None:
        """Nothing that was seen lives, and nothing in its sessions."""

        def gone() -> bool:
            living = list_processes()
            seen = {pid for pid, (_, session) in living.items() if pid in self.family or session in self.family}
            return not {pid for pid in seen if pid != self.process.pid}

        if timeout_seconds:
            wait_until(gone, timeout_seconds)
        assert gone(), [read_command(pid) for pid in self.family]

    def clean_up(self) -> None:
        """End what a failed test left."""
        self.descendants()
        send({self.process.pid, *self.family} & set(list_processes()), signal.SIGKILL)
        self.process.wait()


def read_place(output: str, name: str) -> str:
    """Return what stands behind a name in the list of places."""
    found = re.search(rf"^  {name} +(.+?)\r?$", output, re.MULTILINE)
    assert found, output
    return found[1]
