"""One system as the driver sees it: its processes, run in its own environment."""

import ast
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.environments import ROOT, build_environment
from bench.processes import list_tree, read_pss_bytes
from bench.server import Server
from errand.local.child_process import die_with_parent, kill_session

AGENT_SECONDS = 300.0  # for one command; one that takes longer hangs
STOP_SECONDS = 5.0  # after which a process is killed, with all that it has started
WORKER = ("-m", "rq.cli", "worker", "-c", "worker", "-w", "worker.Worker", "-q")  # Errand's, behind a Python


class BenchError(Exception):
    """Raised when a system's process failed; the text has what it said."""


@dataclass(frozen=True)
class Process:
    """One that was started, with all that it starts; `log` is what they write."""

    pid: int
    log: Path

    def measure_pss_bytes(self) -> int:
        """Return the proportional set size of the whole tree."""
        return sum(map(read_pss_bytes, list_tree(self.pid)))


@dataclass(frozen=True)
class System:
    """A system by its `name`, the `python` of its environment, and the folder that its processes run in."""

    name: str
    python: Path
    home: Path

    def read_settings(self) -> str:
        """Return `SETTINGS` of its file, a line for the report."""
        for statement in ast.parse((ROOT / f"bench/systems/{self.name}.py").read_text()).body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "SETTINGS":
                return str(ast.literal_eval(statement.value))
        return ""

    def call(self, server: Server, command: str, *arguments: object, **environment: str) -> Any:
        """Run `bench.agent` for this system to its end; return its answer. Raises BenchError."""
        done = subprocess.run(
            self._name_agent(command, *arguments),
            cwd=self.home,
            env=self._build_environment(server, environment),
            capture_output=True,
            text=True,
            timeout=AGENT_SECONDS,
        )
        if done.returncode:
            raise BenchError(f"{self.name}: {command} {arguments} failed:\n{done.stderr[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    @contextmanager
    def start_worker(self, server: Server, job: str = "noop", **environment: str) -> Iterator[Process]:
        """Run a worker at this system's best setting for `job` until the block ends."""
        with self.start(server, self._name_agent("worker", job), **environment) as process:
            yield process

    @contextmanager
    def start(self, server: Server, command: list[str], **environment: str) -> Iterator[Process]:
        """Run a command in this system's environment until the block ends. Raises BenchError where it ended before."""
        with tempfile.NamedTemporaryFile(prefix=f"errand-bench-{self.name}-", suffix=".log") as log:
            process = subprocess.Popen(
                command,
                cwd=self.home,
                env=self._build_environment(server, environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
            try:
                yield Process(process.pid, Path(log.name))
                if process.poll() is not None:
                    raise BenchError(f"{self.name}: {command} ended:\n{Path(log.name).read_text()[-2000:]}")
            finally:
                _stop(process)

    def _name_agent(self, command: str, *arguments: object) -> list[str]:
        return [str(self.python), "-m", "bench.agent", self.name, command, *map(str, arguments)]

    def _build_environment(self, server: Server, more: dict[str, str]) -> dict[str, str]:
        return {
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{self.home}{os.pathsep}{ROOT}",
            "REDIS_URL": server.url,
            "SMTP_URL": "smtp://127.0.0.1:1",  # nothing is sent unless a row gives its own
            "MAIL_FROM": "Errand <errand@example.com>",
            "LOG_URL": f"file:{self.home}/log.txt",
            "DATABASE_URL": f"sqlite:///{self.home}/errand.db",
            "ERRAND_LOCAL": "1",
            **more,
        }


@contextmanager
def prepare_system(name: str) -> Iterator[System]:
    """Build the system's environment where it is missing, for Errand a copy of the project with the bench's jobs."""
    python = build_environment(ROOT / f"bench/systems/{name}.py", name)
    with tempfile.TemporaryDirectory(prefix="errand-bench-") as folder:
        home = Path(folder)
        if name == "errand":
            ignored = shutil.ignore_patterns("__pycache__")
            for part in ("service", "jobs"):
                shutil.copytree(ROOT / part, home / part, ignore=ignored)
            shutil.copytree(ROOT / "bench/jobs", home / "jobs", ignore=ignored, dirs_exist_ok=True)
            shutil.copy(ROOT / "worker.py", home)
        yield System(name, python, home)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    kill_session(process.pid)
    process.wait()
    time.sleep(0.1)  # what was killed is taken away by the kernel before the next run's clock starts
