"""HTTP load: wrk, one thread, a fixed number of connections."""

import http.client
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SCRIPT = Path(__file__).with_name("load.lua")
GRACE_SECONDS = 30  # for an answer, and for wrk to end; far more than either takes


class LoadError(Exception):
    """Raised when an answer was not the one that the row is about: its figures would mean nothing."""


@dataclass(frozen=True)
class Request:
    """What is sent, over and over; `body` None sends none."""

    method: str
    url: str
    body: Any = None
    authorization: str = ""
    status: int = 200  # what each answer must be

    def send(self) -> dict[str, Any]:
        """Send it once and return the JSON of the answer. Raises LoadError where its status is another."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=GRACE_SECONDS)
        body = None if self.body is None else json.dumps(self.body)
        headers = {"Content-Type": "application/json", "Authorization": self.authorization}
        connection.request(self.method, parts.path, body, {name: value for name, value in headers.items() if value})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != self.status:
            raise LoadError(f"{self.method} {self.url}: {answer.status} in place of {self.status}: {text[:500]!r}")
        return dict(json.loads(text))


@dataclass(frozen=True)
class Load:
    """What wrk counted in `seconds`; latencies in milliseconds."""

    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


def find_wrk() -> str:
    """Return wrk's path; ends the process with what to install where it is missing."""
    return shutil.which("wrk") or sys.exit(
        "bench: wrk is missing; Debian, Ubuntu: apt install wrk; macOS: brew install wrk"
    )


def put_under_load(request: Request, connections: int, seconds: int) -> Load:
    """Send `request` for `seconds` over so many connections at once.

    Raises LoadError for an answer of 400 or above and for a connection that broke.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        if request.body is not None:
            json.dump(request.body, file)
            file.flush()
        wrk = [find_wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{GRACE_SECONDS}s"]
        body = "-" if request.body is None else file.name
        command = [*wrk, "-s", str(SCRIPT), request.url, "--", request.method, body, request.authorization or "-"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + GRACE_SECONDS, check=True)
    counted = json.loads(done.stdout.splitlines()[-1])
    if counted["refused"] or counted["broken"]:
        raise LoadError(
            f"{request.method} {request.url}: of {counted['answers']} answers {counted['refused']} were errors; "
            f"{counted['broken']} connections broke"
        )
    return Load(counted["answers"], counted["seconds"], counted["p50_ms"], counted["p99_ms"])
