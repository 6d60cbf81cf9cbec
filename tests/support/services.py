"""Real processes for tests: the API under uvicorn, workers under the `rq` command."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errand.local.child_process import kill_session
from errand.local.valkey import find_free_port
from tests.support.fork_server import Forked, ForkServer
from tests.support.processes import find_runner
from tests.support.waiting import wait_until

Process = subprocess.Popen[bytes] | Forked
FORKS = ForkServer()


def pass_coverage() -> dict[str, str]:
    """Return the variables by which `make coverage` measures the processes that tests start; none in other runs."""
    return {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: Any
    body: Any


class Services:
    """Processes over one copy of the project."""

    def __init__(self, project: Path, environment: dict[str, str], logs: Path) -> None:
        self.project = project
        self.environment = environment
        self._logs = logs
        self.processes: list[Process] = []
        self.base_url = ""
        self.factory = "service.app:from_environment"
        self.http = "errand.api.bounds:Protocol"

    def run(self, *command: str, **environment: str) -> Process:
        """Start a command in the project's folder, in a session of its own; its output is kept in `read_log`."""
        path, whole = self._logs / f"{len(self.processes)}.log", {**self.environment, **environment}
        with path.open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self.project, env=whole, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.processes.append(process)
        return process

    def fork(self, *command: str, **environment: str) -> Process:
        """Do what `run` does by a fork, in a tenth of its time; to test how a program starts, use `run`."""
        path, whole = self._logs / f"{len(self.processes)}.log", {**self.environment, **environment}
        if not FORKS.takes(command, self.project, whole):
            return self.run(*command, **environment)
        process = FORKS.start(command, self.project, whole, path)
        self.processes.append(process)
        return process

    def read_log(self, process: Process) -> str:
        """Return what a process has printed so far."""
        return (self._logs / f"{self.processes.index(process)}.log").read_text(errors="replace")

    def start_worker(self, *options: str, **environment: str) -> Process:
        """Start Errand's worker, by the Procfile's command."""
        rq = [sys.executable, "-m", "rq.cli", "worker", "-c", "worker", "-w", "worker.Worker"]
        return self.fork(*rq, *options, **environment)

    def start_ready_worker(self, *options: str, **environment: str) -> Process:
        """Start a worker and wait until it can run jobs."""
        worker = self.start_worker(*options, **environment)

        def is_ready() -> int:
            assert worker.poll() is None, self.read_log(worker)
            return find_runner(worker.pid)

        wait_until(is_ready)
        return worker

    def start_plain_worker(self, *options: str) -> Process:
        """Start RQ's own worker, which has nothing of Errand but the job files."""
        rq = [sys.executable, "-m", "rq.cli", "worker", "-S", "json", "--url", self.environment["REDIS_URL"]]
        return self.run(*rq, *options, "email", "log", "default")

    def start_api(self, **environment: str) -> str:
        """Start the API and wait until it is alive; return its URL."""
        port = find_free_port()
        uvicorn = (sys.executable, "-m", "uvicorn", "--http", self.http)
        command = (*uvicorn, "--factory", self.factory, "--port", str(port))
        process = self.fork(*command, **environment)
        self.base_url = f"http://127.0.0.1:{port}"

        def alive() -> bool:
            assert process.poll() is None, self.read_log(process)
            with suppress(OSError):
                return self.call("GET", "/livez").status == 200
            return False

        wait_until(alive)
        return self.base_url

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Send one request to the API."""
        data = None if body is None else json.dumps(body).encode()
        given = {"Content-Type": "application/json"} if data else {}
        request = urllib.request.Request(self.base_url + path, data, {**given, **(headers or {})}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, answer.headers, json.loads(answer.read() or b"null"))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, json.loads(error.read() or b"null"))

    def post(self, type: str, payload: Any = None, query: str = "") -> str:
        """Post a job; return its id."""
        answer = self.call("POST", f"/v1/jobs/{type}{query}", payload or {})
        assert answer.status == 202, answer
        return str(answer.body["id"])

    def read(self, id: str) -> dict[str, Any]:
        """Read a job."""
        return dict(self.call("GET", f"/v1/jobs/{id}").body)

    def wait_for(self, id: str, *statuses: str, timeout_seconds: float = 20.0) -> dict[str, Any]:
        """Return the job once it has one of the statuses, by default once it has ended."""
        wanted = statuses or ("finished", "failed", "canceled", "stopped")
        last: dict[str, Any] = {}

        def reached() -> bool:
            nonlocal last
            last = self.read(id)
            return last["status"] in wanted

        try:
            wait_until(reached, timeout_seconds)
        except AssertionError:
            raise AssertionError(f"no {wanted}: {last}") from None
        return last

    def stop(self) -> None:
        """End what is left, whole sessions: a worker's children have process groups of their own."""
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            kill_session(process.pid)
            process.wait()
