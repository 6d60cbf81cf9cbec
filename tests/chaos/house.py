"""What runs: two Valkeys, the API, three workers, each with its own way to Redis; the keeper that restarts them."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM

from errand.local.child_process import die_with_parent
from errand.local.valkey import find_free_port
from tests.chaos.processes import Lives, find_named, read_tree
from tests.chaos.releases import NEW, OLD, write_releases
from tests.chaos.servers import Servers
from tests.support.faketime import fake_by
from tests.support.processes import RUNNER, send
from tests.support.proxies import Proxy

WORKERS = 3
GRACE_SECONDS = 5  # short, so that a deploy in a run of minutes interrupts jobs
LOOK_SECONDS = 0.1  # well below what a killed worker's processes outlive it by
ORPHAN_SECONDS = 30.0  # a process that outlives its supervisor for longer is reported; a frozen one may for 20 s


@dataclass(frozen=True)
class Exit:
    """How a process that the keeper watches ended: by what, its exit code, and how long after the first cause."""

    name: str
    causes: tuple[str, ...]
    code: int
    seconds: float


@dataclass
class Kept:
    """A process that the keeper restarts when it has ended, from its `release`'s folder; `clock` moves its clock."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    clock: Path
    release: int = OLD
    process: subprocess.Popen[bytes] | None = None
    causes: list[str] = field(default_factory=list)
    caused_at: float = 0.0
    ended_at: float = 0.0

    @property
    def pid(self) -> int:
        """The process id, 0 (which nothing is sent to) while there is none."""
        return self.process.pid if self.process is not None and self.process.poll() is None else 0

    def note_cause(self, fault: str) -> None:
        """Note what is about to end it."""
        self.caused_at = self.caused_at if self.causes else time.monotonic()
        self.causes.append(fault if self.is_ready() else f"{fault} while starting")

    def is_ready(self) -> bool:
        """Return whether it can do something, as far as that can be seen."""
        return bool(self.pid and (self.name == "api" or find_named(self.pid, RUNNER)))


class House:
    """Everything in one folder; `start`, `stop`, and in between whatever the faults do to it."""

    def __init__(self, folder: Path, smtp_url: str) -> None:
        self.folder = folder
        self.lives = Lives()
        self.exits: list[Exit] = []
        self.orphans: set[int] = set()
        self.proxies: list[Proxy] = []
        self.servers = Servers(folder, self._lead)
        self.ledger, self.log_file = folder / "ledger", folder / "log.jsonl"
        self.port = find_free_port()
        self._smtp_url = smtp_url
        self._restarting = self._keeping = True
        self.kept: list[Kept] = []

    def start(self) -> None:
        """Start everything. Raises ServerMissingError."""
        self._folders = write_releases(self.folder)
        self.servers.start()
        self.proxies = [Proxy(self.url) for _ in range(WORKERS + 1)]
        rq = [sys.executable, "-m", "rq.cli", "worker", "-c", "worker", "-w", "worker.Worker"]
        self.workers = [self._keep(f"worker-{n}", rq, self.proxies[n]) for n in range(WORKERS)]
        factory = "service.app:from_environment"
        uvicorn = [sys.executable, "-m", "uvicorn", "--factory", factory, "--port", str(self.port), "--no-access-log"]
        self.api = self._keep("api", uvicorn, self.proxies[-1])
        self.kept = [*self.workers, self.api]
        self._keeper = threading.Thread(target=self._run_keeper, name="keeper", daemon=True)
        self._keeper.start()

    @property
    def url(self) -> str:
        """How to reach the primary, past the proxies."""
        return self.servers.primary.url

    def let_all_end(self) -> None:
        """Let both releases have workers, so that no job has none."""
        for number, kept in enumerate(self.workers):
            self.deploy(kept, OLD if number == 0 else NEW)

    def deploy(self, kept: Kept, release: int) -> None:
        """Stop a process in order if it is of another release, and let the keeper start that one."""
        if kept.release != release:
            kept.release = release
            kept.note_cause("SIGTERM of a deploy")
            send(read_tree(kept.pid)[:1], SIGTERM)

    def stop(self) -> None:
        """End the workers in order, then the rest; what does not end within its time is killed."""
        self._restarting = False
        time.sleep(2 * LOOK_SECONDS)
        for kept in self.kept:
            kept.note_cause("SIGTERM at the end")
            send(read_tree(kept.pid)[:1], SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS + 10
        while time.monotonic() < deadline and any(kept.pid for kept in self.kept):
            time.sleep(LOOK_SECONDS)
        time.sleep(1)
        self.orphans |= self.lives.list_alive()
        for kept in self.workers:
            self._note_exit(kept)

    def kill(self) -> None:
        """Kill whatever is left, Valkey last."""
        self._restarting = False
        send([*self.lives.list_alive()], SIGKILL)
        for kept in self.kept:
            send(read_tree(kept.pid), SIGKILL)
        for proxy in self.proxies:
            proxy.stop()
        self.servers.stop()
        self._keeping = False

    def _lead(self, url: str) -> None:
        for proxy in self.proxies:
            proxy.send_to(url)

    def _keep(self, name: str, command: list[str], store: Proxy) -> Kept:
        clock = self.folder / f"{name}.clock"
        clock.write_text("+0\n")
        environment = {
            **fake_by(clock),
            "CHAOS_EPOCH": repr(time.time() - time.monotonic()),
            "PATH": os.environ["PATH"],
            "REDIS_URL": store.url,
            "SMTP_URL": self._smtp_url,
            "MAIL_FROM": "Errand <errand@example.com>",
            "LOG_URL": f"file:{self.log_file}",
            "DATABASE_URL": f"sqlite:///{self.folder}/errand.db",
            "ERRAND_LOCAL": "1",
            "PYTHONUNBUFFERED": "1",
            "WORKER_GRACE_SECONDS": str(GRACE_SECONDS),
            "WORKER_THREADS": "8",
            "MAIL_TRY_HOURS": "0.04",  # so that each mail ends while a run drains
        }
        return Kept(name, command, environment, self.folder / f"{name}.log", clock)

    def _run_keeper(self) -> None:
        """Watch everything, to the end: what this thread has started ends with it."""
        while self._keeping:
            for number, kept in enumerate(self.kept):
                if kept.pid:
                    if number < WORKERS:
                        self.lives.see(number, kept.pid)
                elif self._restarting:
                    self._restart(kept)
            self.lives.refresh()
            self.orphans |= self.lives.find_orphans(ORPHAN_SECONDS)
            time.sleep(LOOK_SECONDS)

    def _restart(self, kept: Kept) -> None:
        """Start it, a little later than it ended, as a platform would."""
        now = time.monotonic()
        if kept.process is not None and not kept.ended_at:
            self._note_exit(kept)
            kept.ended_at = now
        if kept.process is None or now - kept.ended_at > 0.5:
            with kept.log.open("ab") as log:
                kept.process = subprocess.Popen(
                    kept.command,
                    cwd=self._folders[kept.release],
                    env=kept.environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
            kept.causes, kept.ended_at = [], 0.0

    def _note_exit(self, kept: Kept) -> None:
        if kept.process is not None:
            code = kept.process.poll()
            seconds = time.monotonic() - kept.caused_at if kept.causes else 0.0
            self.exits.append(Exit(kept.name, tuple(kept.causes), code if code is not None else -SIGKILL, seconds))
