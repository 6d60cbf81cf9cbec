"""One process of the API, with the protocol and the loop of the Procfile's `web`, and a client of it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from bench.waiting import wait_until
from errand.local.child_process import die_with_parent
from errand.local.valkey import find_free_port

START_SECONDS = 60.0  # it imports a lot, on a machine that may have other work


@dataclass(frozen=True)
class ApiProcess:
    """One that runs."""

    port: int
    pid: int


class ApiClient:
    """Asks the API over one connection."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port)

    def call(self, path: str, body: bytes | None = None) -> tuple[float, Any]:
        """Return how many seconds a request took, and the answer's JSON; a request with a body is a POST."""
        method, headers = ("POST", {"Content-Type": "application/json"}) if body else ("GET", {})
        began = time.perf_counter()
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        spent = time.perf_counter() - began
        assert answer.status in (200, 202), content
        return spent, json.loads(content)


@contextmanager
def start_api(redis_url: str) -> Iterator[ApiProcess]:
    """Run the API until the block ends. Raises TimeoutError where it does not answer."""
    port = find_free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "service.app:from_environment", "--port", str(port)]
    command += ["--loop", "uvloop", "--http", "errand.api.bounds:Protocol", "--no-access-log", "--log-level", "error"]
    mail = {"SMTP_URL": "smtp://127.0.0.1:1", "MAIL_FROM": "bench@example.com"}  # nothing is sent
    environment = {**os.environ, **mail, "REDIS_URL": redis_url, "ERRAND_LOCAL": "1"}
    process = subprocess.Popen(command, env=environment, preexec_fn=die_with_parent)
    try:
        wait_until(lambda: _is_alive(port), "the API does not answer", START_SECONDS)
        yield ApiProcess(port, process.pid)
    finally:
        process.kill()
        process.wait()


def _is_alive(port: int) -> bool:
    try:
        ApiClient(port).call("/livez")
    except OSError:
        return False
    return True
