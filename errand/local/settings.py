"""The options of `errand up`, and the environment and commands of its processes."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from errand.redis.environment import is_set
from errand.service_log.reader import UP

LOOPBACK = ("127.0.0.1", "localhost", "::1")

OURS = ("ERRAND_LOCAL", "ERRAND_MAIL_FOLDER")  # set by `errand up` alone; a caller's own are left out

# What could reach beyond this machine, and so is left out of the demo.
OUTSIDE = (
    "REDIS_URL",
    "SMTP_URL",
    "MAIL_FROM",
    "LOG_URL",
    "DATABASE_URL",
    "API_KEYS",
    "DASHBOARD_PASSWORD",
    "CONSOLE_READ_PASSWORD",
    "WEBHOOK_URL",
)


@dataclass(frozen=True)
class UpOptions:
    """The options of `errand up`; `workers` is how many processes."""

    host: str
    port: int
    data: Path
    workers: int

    @property
    def base_url(self) -> str:
        """Where a browser on this machine finds the API."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(self.host, self.host)  # noqa: S104
        return f"http://{host}:{self.port}"

    @property
    def on_next_port(self) -> str:
        """The command that takes another port."""
        return f"make demo PORT={self.port + 1}"

    @property
    def mail_folder(self) -> Path:
        """Where the sink keeps its mail."""
        return self.data / "mail"

    def complete(self, environment: Mapping[str, str], redis_url: str, smtp_url: str) -> dict[str, str]:
        """Return the processes' environment: what is set stays, the rest is local."""
        local = {
            "REDIS_URL": redis_url,
            "LOG_URL": "file:log.txt",
            "DATABASE_URL": f"sqlite:///{self.data.absolute() / 'errand.db'}",
            "PYTHONUNBUFFERED": "1",
            UP: "1",
        }
        if not is_set("SMTP_URL", environment):
            local |= {"SMTP_URL": smtp_url, "MAIL_FROM": "Errand <errand@example.com>"}
        local = {name: value for name, value in local.items() if not is_set(name, environment)}
        ours = {"ERRAND_LOCAL": "1"} if self.host in LOOPBACK else {}
        if not is_set("SMTP_URL", environment):
            ours["ERRAND_MAIL_FOLDER"] = f"{self.mail_folder.absolute()}"
        return {**local, **{name: value for name, value in environment.items() if name not in OURS}, **ours}

    def web_command(self) -> list[str]:
        """Return the API's command."""
        factory = "service.app:from_environment"
        address = ["--host", self.host, "--port", str(self.port)]
        loop = ["--loop", "uvloop", "--http", "errand.api.bounds:Protocol", "--timeout-graceful-shutdown", "5"]
        return [sys.executable, "-m", "uvicorn", "--factory", factory, *address, *loop]

    def worker_command(self) -> list[str]:
        """Return a worker's command."""
        return [sys.executable, "-m", "rq.cli", "worker", "-c", "worker", "-w", "worker.Worker"]

    def sink_command(self, port: int) -> list[str]:
        """Return the SMTP sink's command."""
        return [sys.executable, "-m", "errand.local.mail_sink", str(port), os.fspath(self.mail_folder)]


def default_data(port: int) -> Path:
    """Return the data folder for a port: `.errand`, and one of its own for any other than 8000."""
    return Path(".errand") if port == 8000 else Path(f".errand-{port}")
