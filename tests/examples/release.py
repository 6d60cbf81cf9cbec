"""An example as a platform runs it: the commands of its Procfile, SIGTERM to all at once, and customers who go on."""

import itertools
import os
import signal
import threading
from contextlib import suppress
from typing import Any

from errand.local.valkey import find_free_port
from tests.support.services import Process, Services
from tests.support.waiting import wait_until

RQ_WORKER = "rq worker -c shop.worker -w shop.worker.Worker"
STOPPED = (0, -signal.SIGTERM)  # uvicorn ends by the signal that it was sent


class Release(Services):
    """The web process and two workers, one by each command."""

    def start(self) -> None:
        """Start all three."""
        commands = dict(line.split(": ", 1) for line in (self.project / "Procfile").read_text().splitlines())
        port = find_free_port()
        self.base_url = f"http://127.0.0.1:{port}"
        self.web = self._start(commands["web"], PORT=str(port))
        self.workers = [self._start(commands["worker"]), self._start(RQ_WORKER)]

    def deploy(self) -> None:
        """Stop all three as platforms do, whole process groups, and start them again."""
        running = [self.web, *self.workers]
        for process in running:
            os.killpg(process.pid, signal.SIGTERM)
        for process in running:
            assert process.wait(60) in STOPPED, self.read_log(process)
        self.start()

    def kill(self, pid: int) -> None:
        """Kill the worker of this process id, and start one in its place."""
        (worker,) = (worker for worker in self.workers if worker.pid == pid)
        os.killpg(pid, signal.SIGKILL)
        worker.wait(10)
        self.workers.remove(worker)
        self.workers.append(self._start(RQ_WORKER))

    def order(self, key: str, quantity: int) -> list[str] | None:
        """Place an order; return its jobs, None where nobody took it."""
        with suppress(OSError):
            body = {"email": f"{key}@example.com", "product": "tea", "quantity": quantity}
            answer = self.call("POST", "/orders", body, {"Idempotency-Key": key})
            return list(answer.body["jobs"]) if answer.status == 202 else None
        return None

    def read_order(self, key: str) -> dict[str, Any]:
        """Return what the shop knows of an order."""
        return dict(self.call("GET", f"/orders/{key}").body)

    def read(self, id: str) -> dict[str, Any]:
        """Read a job."""
        return dict(self.call("GET", f"/errand/v1/jobs/{id}").body)

    def _start(self, command: str, **environment: str) -> Process:
        return self.run("sh", "-c", f"exec {command}", **environment)


class Customers:
    """Place one order after the other, each until it is taken, whatever is being deployed."""

    def __init__(self, release: Release) -> None:
        self.orders: dict[str, list[str]] = {}
        self._release = release
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Customers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def wait_for_more(self, count: int) -> None:
        """Wait until some more orders were taken."""
        already = len(self.orders)
        wait_until(lambda: len(self.orders) >= already + count, 60)

    def _run(self) -> None:
        for number in itertools.count():
            key = f"order-{number}"
            while (jobs := self._release.order(key, number % 3 + 1)) is None:
                if self._ended.wait(0.05):
                    return
            self.orders[key] = jobs
            if self._ended.wait(0.02):
                return
