"""A whole service for fault tests: real workers and a ledger; the API is the real application, in this process."""

import json
import signal
from pathlib import Path
from typing import Any

from redis import Redis
from starlette.testclient import TestClient

from errand import Job
from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from service.app import create_app
from tests.support.ledgers import Ledger
from tests.support.processes import kill_all, signal_all
from tests.support.services import Answer, Process, Services

Worker = Process


class Site(Services):
    """Real processes over one server."""

    def __init__(
        self,
        project: Path,
        environment: dict[str, str],
        logs: Path,
        types: dict[str, Job[..., Any]],
        own_url: str | None = None,
    ) -> None:
        """`own_url` is the test's own, for what the service's user may not do at the server."""
        super().__init__(project, environment, logs)
        self.ledger = Ledger(logs / "ledger")
        self.redis = Redis.from_url(own_url or environment["REDIS_URL"])
        queue = QueueSettings(REDIS_URL=environment["REDIS_URL"])
        self.types = types
        app = create_app(ApiSettings(ERRAND_LOCAL=True), queue, types)
        self.client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Send one request to the API."""
        answer = self.client.request(method, path, json=body, headers=headers)
        return Answer(answer.status_code, answer.headers, json.loads(answer.content or b"null"))

    def post_noted(self, type: str = "ledger", query: str = "", **payload: Any) -> str:
        """Post a job that writes to the ledger; return its id."""
        return self.post(type, {"ledger": str(self.ledger.path), **payload}, query)

    def end(self, worker: Worker, timeout_seconds: float = 30) -> int:
        """Send SIGTERM to every process of a worker, as systemd and Heroku do; return the exit code."""
        signal_all(worker.pid, signal.SIGTERM)
        return worker.wait(timeout_seconds)

    def give_time(self, job: str, seconds: int) -> None:
        """Give one waiting job another timeout than its type's."""
        assert self.redis.hset(f"rq:job:{job}", "timeout", seconds) == 0

    def read_counts(self, job: str) -> dict[str, int]:
        """Return a job's attempts, interruptions, losses and retries left, as its status shows them."""
        found = self.read(job)
        return {name: found[name] for name in ("attempts", "interruptions", "losses", "retries_left")}

    def list_started(self) -> list[str]:
        """Return the jobs whose hash says that they run."""
        keys = list(self.redis.scan_iter("rq:job:*"))
        return [
            key.decode().rpartition(":")[2]
            for key in keys
            if self.redis.type(key) == b"hash" and self.redis.hget(key, "status") == b"started"
        ]

    def list_queued(self, queue: str = "default") -> list[str]:
        """Return the ids in a queue, the next one first."""
        ids: list[Any] = self.redis.lrange(f"rq:queue:{queue}", 0, -1)
        return [id.decode() for id in ids]

    def count_results(self, job: str) -> int:
        """Return how many ends of a job are recorded."""
        return int(self.redis.xlen(f"rq:results:{job}"))

    def assert_nothing_is_left(self) -> None:
        """No queue, lease or registry of running jobs holds anything."""
        held = [key for pattern in ("rq:queue:*", "rq:wip:*", "errand:leases") for key in self.redis.keys(pattern)]
        assert held == [], {key: self.redis.type(key) for key in held}

    def stop(self) -> None:
        """End what is left, whole sessions, and the clients."""
        for process in self.processes:
            kill_all(process.pid)
            process.wait()
        self.redis.close()
