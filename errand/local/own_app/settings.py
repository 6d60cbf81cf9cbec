"""The options of `errand up MODULE:NAME`, and the commands of its processes."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from errand.local.settings import UpOptions
from errand.redis.environment import is_set


@dataclass(frozen=True)
class OwnOptions(UpOptions):
    """The options of `errand up MODULE:NAME`: where its Errand and its application are."""

    target: str
    app: str | None = None
    has_web: bool = True
    reload: bool = False

    @property
    def names(self) -> list[str]:
        """The arguments that serving and probing have in common: where the Errand is, and the application."""
        return [self.target, *([self.app] if self.app else [])]

    @property
    def on_next_port(self) -> str:
        """The command that takes another port."""
        return f"errand up {self.target} --port {self.port + 1}"

    def complete(self, environment: Mapping[str, str], redis_url: str, smtp_url: str) -> dict[str, str]:
        """Return the processes' environment; the database is left to the application."""
        complete = super().complete(environment, redis_url, smtp_url)
        if not is_set("DATABASE_URL", environment):
            complete.pop("DATABASE_URL", None)
        return complete

    def serve_command(self, descriptor: int) -> list[str]:
        """Return the command of the web process, which listens on the socket that it inherits as `descriptor`."""
        return [sys.executable, "-m", "errand.local.own_app.web", str(descriptor), *self.names]

    def probe_command(self) -> list[str]:
        """Return the command that tries to import the application."""
        return [sys.executable, "-m", "errand.local.own_app.probe", "web" if self.has_web else "no-web", *self.names]

    def worker_command(self) -> list[str]:
        """Return a worker's command."""
        return [sys.executable, "-m", "errand", "worker", self.target]
