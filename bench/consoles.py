"""`python -m bench.consoles [PAIRS]`: what 200 open consoles cost the rate of POST /v1/jobs/log, 100,000 jobs stored.

100 on the overview and 100 on the list of jobs, then 200 on eight pages. In pairs, without them and with them: first
100 POSTs a second, and what share of a core the API's one process takes more; a saturated one has so much less for
POSTs. Then wrk over 32 connections, and the rate itself, which says something on a machine where nobody else works: the
viewers read on the same cores. The server writes nothing to disk.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import median

from bench.api import ApiClient, ApiProcess, start_api
from bench.load import Request, put_under_load
from bench.processes import read_cpu
from bench.server import start_server
from bench.streams import call

CONNECTIONS, SECONDS, PACE = 32, 10, 100  # of wrk; of each measurement; POSTs a second
STORED = 100  # batches
VIEWERS = 200  # more than a team has open
BAR = 0.1  # of a core, or of the rate: what the consoles may cost
PAGES = ("", "/jobs")
MIX = (*PAGES, "/jobs?status=queued", "/jobs?type=log", "/jobs?status=failed", "/queues", "/workers", "?period=24h")


async def measure(web: ApiProcess, pairs: int) -> None:
    """Measure and print."""
    looks = (("overview and jobs", PAGES), ("eight pages", MIX))
    for name, pages in looks:
        shares = await _pair(web, pages, lambda: _measure_share(web), pairs)
        _print_share(f"{VIEWERS} on {name}, of a core", [beside - alone for alone, beside in shares])
    for name, pages in looks:
        rates = await _pair(web, pages, lambda: _measure_rate(web), pairs)
        _print_share(f"{VIEWERS} on {name}, POSTs less", [1 - beside / alone for alone, beside in rates])


async def _pair(
    web: ApiProcess, pages: tuple[str, ...], measure: Callable[[], Awaitable[float]], pairs: int
) -> list[tuple[float, float]]:
    found = []
    for _ in range(pairs):
        alone = await measure()
        viewers = Viewers(web.port)
        await viewers.open(pages)
        found.append((alone, await measure()))
        await viewers.close()
        print(
            f"    {alone:,.3f} alone, {found[-1][1]:,.3f} beside {VIEWERS}, {viewers.bytes / 2**20:.0f} MB", flush=True
        )
    return found


async def _measure_share(web: ApiProcess) -> float:
    """Return the share of a core that the API takes while jobs are posted at a set pace."""
    before, began = read_cpu(web.pid), time.monotonic()
    for number in range(PACE * SECONDS):
        await asyncio.sleep(max(0, began + number / PACE - time.monotonic()))
        await call(web.port, "POST", "/v1/jobs/log", {"text": "x"})
    return (read_cpu(web.pid) - before) / (time.monotonic() - began)


async def _measure_rate(web: ApiProcess) -> float:
    request = Request("POST", f"http://127.0.0.1:{web.port}/v1/jobs/log", {"text": "x"}, status=202)
    return (await asyncio.to_thread(put_under_load, request, CONNECTIONS, SECONDS)).per_second


class Viewers:
    """Open consoles: their streams, and what has come over them."""

    def __init__(self, port: int) -> None:
        self.bytes = 0
        self._port = port
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, pages: tuple[str, ...]) -> None:
        """Open all streams; return when each has what it begins with."""
        opened = [asyncio.Event() for _ in range(VIEWERS)]
        for number, event in enumerate(opened):
            self._tasks.append(asyncio.create_task(self._view(pages[number % len(pages)], event)))
        await asyncio.gather(*(event.wait() for event in opened))
        self.bytes = 0

    async def close(self) -> None:
        """Close them. Raises what went wrong with one."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await asyncio.sleep(1)  # the API stops to render

    async def _view(self, page: str, opened: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        writer.write(f"GET /console/live{page} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readuntil(b"data: ")
        opened.set()
        while data := await reader.read(2**18):
            self.bytes += len(data)


def _print_share(name: str, lost: list[float]) -> None:
    print(f"{name}: {median(lost):.1%} ({min(lost):.1%} to {max(lost):.1%}); bar {BAR:.0%}", flush=True)


def main() -> None:
    """Store jobs, measure, print."""
    with start_server("none") as server, start_api(server.url) as web:
        api = ApiClient(web.port)
        for _ in range(STORED):
            api.call(
                "/v1/batches/log?delay_seconds=86400", b'{"items": [' + b",".join([b'{"text": "x"}'] * 1000) + b"]}"
            )
        asyncio.run(measure(web, int(sys.argv[1]) if len(sys.argv) > 1 else 5))


if __name__ == "__main__":
    main()
