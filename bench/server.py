"""The Redis that all systems share: one real Valkey on loopback TCP, empty at the start of each run."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis, RedisError

from bench.waiting import wait_until
from errand.local.child_process import die_with_parent
from errand.local.valkey import find_free_port, find_program

START_SECONDS = 10.0  # it takes a tenth of a second where nothing else runs


@dataclass(frozen=True)
class Server:
    """One that runs; `pid` is its process."""

    url: str
    pid: int

    def connect(self) -> Redis:
        """Return a client for the driver's own questions."""
        return Redis.from_url(self.url)


@contextmanager
def start_server(appendfsync: str = "everysec") -> Iterator[Server]:
    """Run a server with this `appendfsync` (`none`: nothing is written to disk) until the block ends."""
    with tempfile.TemporaryDirectory(prefix="errand-bench-") as folder:
        port = find_free_port()
        process = subprocess.Popen(
            [find_program(), "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent
        )
        try:
            assert process.stdin is not None
            with process.stdin as configuration:
                configuration.write(_configure(Path(folder), port, appendfsync).encode())
            server = Server(f"redis://127.0.0.1:{port}/0", process.pid)
            wait_until(lambda: _is_ready(server), "the server does not answer", START_SECONDS)
            yield server
        finally:
            process.kill()
            process.wait()


def _configure(folder: Path, port: int, appendfsync: str) -> str:
    durable = ["appendonly no"] if appendfsync == "none" else ["appendonly yes", f"appendfsync {appendfsync}"]
    # A rewrite of the file would fall into some of such short runs and not into others.
    durable.append("auto-aof-rewrite-percentage 0")
    lines = [f'dir "{folder}"', "bind 127.0.0.1", f"port {port}", 'save ""', "maxmemory-policy noeviction", *durable]
    return "\n".join(lines) + "\n"


def _is_ready(server: Server) -> bool:
    try:
        return bool(server.connect().ping())
    except RedisError:
        return False
