"""A system's HTTP face in one uvicorn process with the Procfile's options: Errand's API or bench/web.py."""

import hashlib
import secrets
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.environments import ROOT
from bench.load import LoadError, Request
from bench.server import Server
from bench.system import BenchError, Process, System
from errand.local.valkey import find_free_port

START_SECONDS = 20.0  # in which it imports a framework, beside other work
LOG_LINES = 40  # of a process, in an error: a traceback and what came before it
EMAIL = {"to": "ada@example.com", "subject": "Hello", "text": "It works."}


@dataclass(frozen=True)
class Site:
    """One that runs, and how to ask it; `secret` is the key that Errand wants, '' where none is."""

    system: str
    url: str
    secret: str

    def post_email(self, in_thread: bool = False) -> Request:
        """Return the request that stores one e-mail job; `in_thread` where a client that blocks has a thread."""
        path = "/v1/jobs/email" if self.secret else "/email-in-thread" if in_thread else "/email"
        return self.ask("POST", path, EMAIL, 202)

    def post_emails(self, count: int) -> Request:
        """Return the request that stores so many, each to another address."""
        items = [{**EMAIL, "to": f"ada.{number}@example.com"} for number in range(count)]
        return self.ask("POST", "/v1/batches/email" if self.secret else "/emails", {"items": items}, 202)

    def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Request:
        """Return a request with the key, whose answer must have `status`."""
        return Request(method, self.url + path, body, f"Bearer {self.secret}" if self.secret else "", status)


@contextmanager
def run_site(system: System, server: Server) -> Iterator[Site]:
    """Run the system's HTTP face until the block ends; Errand's in production mode, with a key.

    Raises BenchError where it does not start, and a LoadError again with what the process said.
    """
    app, options = read_procfile()
    port, secret, environment = find_free_port(), "", {"BENCH_SYSTEM": system.name, "ERRAND_LOCAL": "0"}
    if system.name == "errand":
        secret = secrets.token_urlsafe(32)
        environment["API_KEYS"] = f"bench:{hashlib.sha256(secret.encode()).hexdigest()}"
    else:
        app = f"bench.{'systems.bare' if system.name == 'bare' else 'web'}:build_app"
    http = "errand.api.bounds:Protocol" if system.name == "errand" else "httptools"
    listen = ["--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop", "--http", http]
    command = [str(system.python), "-m", "uvicorn", app, *options, *listen]
    with system.start(server, command, **environment) as process:
        site = Site(system.name, f"http://127.0.0.1:{port}", secret)
        _wait(site, process)
        try:
            yield site
        except LoadError as error:
            raise LoadError(f"{error}\n{_read_complaints(process)}") from None


def read_procfile() -> tuple[str, list[str]]:
    """Return the application of the Procfile's `web`, and uvicorn's options there less where and how it listens."""
    (line,) = [line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith("web:")]
    words = shlex.split(line.partition("uvicorn ")[2])
    for name in ("--host", "--port", "--http"):
        at = words.index(name)
        del words[at : at + 2]
    (app,) = [word for word in words if ":" in word]
    return app, [word for word in words if word != app]


def _wait(site: Site, process: Process) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            site.ask("GET", "/openapi.json").send()
            return
        except OSError:
            time.sleep(0.05)
    raise BenchError(f"{site.system}: the web process does not answer:\n{_read_complaints(process)}")


def _read_complaints(process: Process) -> str:
    """Return the end of the log, without the lines about requests that went well."""
    lines = [line for line in process.log.read_text(errors="replace").splitlines() if '" 20' not in line]
    return "\n".join(lines[-LOG_LINES:])
