"""`python -m bench.console`: each page of the console beside one status read, 1,000,000 jobs stored.

The server and its jobs are those of bench/pages.py, but for the disk. Of each page: what it takes of the web process'
CPU and of the server's (INFO cpu), means of some requests over one connection, and its bytes as gzip. `cold` is a page
that a process which has just started answers first, when nothing of it is kept; `first page` has its files as well.
"""

import gzip
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from redis import Redis

from bench.api import ApiClient, start_api
from bench.pages import COUNT, TAG, fill
from bench.processes import read_cpu
from errand.api.console.mount import VIEWS
from errand.local.valkey import EmbeddedValkey

ROUNDS, COLD = 100, 2  # requests of each page; pages that are measured cold as well
MOST_READS, MOST_SERVER_MS, MOST_KB = 10, 100, 120  # the bars
JOBS = [f"?tag={TAG}", "?status=failed", "?status=finished", "?status=canceled", "?status=queued&type=log&since=1h"]


class Console:
    """One web process and its server, over one connection."""

    def __init__(self, port: int, pid: int, redis: Redis) -> None:
        self._connection, self._pid, self._redis = HTTPConnection("127.0.0.1", port), pid, redis

    def get(self, path: str) -> tuple[bytes, int]:
        """Return what is at a path, and how many bytes that were on the wire."""
        self._connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = self._connection.getresponse()
        packed = answer.read()
        assert answer.status == 200, (path, packed)
        plain = gzip.decompress(packed) if answer.headers["Content-Encoding"] == "gzip" else packed
        return plain, len(packed) + len(str(answer.headers))

    def measure(self, path: str, rounds: int = ROUNDS) -> tuple[float, float, int]:
        """Return the milliseconds of the web process and of the server that a page takes, and its bytes."""
        web, server = read_cpu(self._pid), self._read_server_cpu()
        for _ in range(rounds):
            _, size = self.get(path)
        asking = self._read_server_cpu()  # asking takes something, too
        spent = (read_cpu(self._pid) - web, asking - server - (self._read_server_cpu() - asking))
        return spent[0] / rounds * 1000, max(0.0, spent[1]) / rounds * 1000, size

    def _read_server_cpu(self) -> float:
        used = self._redis.info("cpu")
        return float(used["used_cpu_user"] + used["used_cpu_sys"])


def main() -> None:
    """Fill a server, measure, print."""
    with tempfile.TemporaryDirectory(prefix="errand-bench-") as folder:
        server = EmbeddedValkey(Path(folder) / "v")
        server.start()
        try:
            with Redis.from_url(server.url) as redis:
                redis.config_set("appendonly", "no")  # to store so many takes a disk minutes
                with start_api(server.url) as api:
                    id = fill(redis, ApiClient(api.port))
                _report(server.url, redis, list_pages(id), f"/v1/jobs/{id}")
        finally:
            server.stop()


def list_pages(id: str) -> list[str]:
    """Return the paths of the pages that there are, as far as the jobs have something for them."""
    known = {"/jobs/{id}": f"/jobs/{id}", "/jobs/{id}/edit": f"/jobs/{id}/edit", "/new/{type}": "/new/log"}
    paths = [known.get(view.path, view.path) for view in VIEWS]
    return [f"/console{path}" for path in paths if "{" not in path] + [f"/console/jobs{query}" for query in JOBS]


def _report(url: str, redis: Redis, paths: list[str], read: str) -> None:
    print(f"{COUNT:,} jobs; bars: {MOST_READS} x a status read, {MOST_SERVER_MS} ms, {MOST_KB} KB")
    for path in paths[:COLD]:
        with _connect(url, redis) as console:
            console.get("/livez")
            _print_row(f"cold {path}", *console.measure(path, 1))
    with _connect(url, redis) as console:
        for path in (read, *paths):
            console.measure(path, 20)
        base = console.measure(read, 5 * ROUNDS)
        _print_row("status read", *base, base[0])
        for path in paths:
            _print_row(path, *console.measure(path), base[0])
        print(f"  first page: {_measure_first(console, paths[0]) / 1024:.1f} KB with its files")


@contextmanager
def _connect(url: str, redis: Redis) -> Iterator[Console]:
    with start_api(url) as api:
        yield Console(api.port, api.pid, redis)


def _print_row(name: str, web_ms: float, server_ms: float, size: int, base_ms: float = 0.0) -> None:
    ratio = f"{web_ms / base_ms:5.1f} x" if base_ms else ""
    print(f"  {name:58} web {web_ms:7.2f} ms {ratio:8} server {server_ms:7.2f} ms {size:8,} bytes", flush=True)


def _measure_first(console: Console, path: str) -> int:
    """Return the bytes of a page and of all that it loads."""
    html, size = console.get(path)
    files = set(re.findall(r'(?:src|href|data-from)="([^"]*/(?:static|stats)/[^"]+)"', html.decode()))
    return size + sum(console.get(file)[1] for file in files)


if __name__ == "__main__":
    main()
