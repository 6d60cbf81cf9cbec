"""`python -m bench.longest [NAME …]`: the longest call of each script at the documented limits, in milliseconds.

What is measured is the time on the CPU of the server's main thread, from /proc, so that a busy machine does not show in
it; nothing else is asked of the server meanwhile. Without names all are measured. Linux alone.
"""

import asyncio
import logging
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from bench.limits import SCENES
from bench.queued import LIFETIMES
from bench.server import Server, start_server
from bench.world import Scene, World
from errand import load_jobs
from errand.api.store import build_store
from errand.redis.connection import WORKER, Limits
from errand.store.settings import QueueSettings
from errand.worker.records import Records

MOST_MS, MOST_OF_BATCH_MS = 20.0, 100.0  # what docs/performance.md promises


@dataclass
class Meter:
    """Measures every call of a script that its clients make."""

    server: Server
    longest_ms: float = 0.0
    calls: int = 0
    is_on: bool = False

    @contextmanager
    def measure(self, is_script: bool) -> Iterator[None]:
        """Measure what is called in the block, where it is a script."""
        before = self._read_ns()
        yield
        if self.is_on and is_script:
            self.calls += 1
            self.longest_ms = max(self.longest_ms, (self._read_ns() - before) / 1e6)

    def _read_ns(self) -> int:
        """Return how long the server's main thread has been on a CPU."""
        pid = self.server.pid
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0])


class Metered:
    """A `Connector` whose clients measure scripts; a pipeline counts as one, for the store sends one call in each."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def connect(self, limits: Limits) -> Redis:
        """Return a client."""
        meter = self._meter

        class Client(Redis):
            def execute_command(self, *args: Any, **options: Any) -> Any:
                with meter.measure(args[0] == "EVALSHA"):
                    return super().execute_command(*args, **options)

        client: Redis = Client.from_url(meter.server.url)
        return client

    def connect_async(self, limits: Limits) -> AsyncRedis:
        """Return an asynchronous client, which is asked for one thing at a time."""
        meter = self._meter

        class Client(AsyncRedis):
            async def execute_command(self, *args: Any, **options: Any) -> Any:
                with meter.measure(args[0] == "EVALSHA"):
                    return await super().execute_command(*args, **options)

            def pipeline(self, *args: Any, **options: Any) -> Any:
                pipeline = super().pipeline(*args, **options)
                execute = pipeline.execute

                async def measured(**more: Any) -> Any:
                    with meter.measure(True):
                        return await execute(**more)

                pipeline.execute = measured  # type: ignore[method-assign, assignment]
                return pipeline

        client: AsyncRedis = Client.from_url(meter.server.url)
        return client


async def measure(scene: Scene) -> tuple[float, int]:
    """Return the longest call of a scene in milliseconds, and how many there were."""
    with start_server() as server, server.connect() as redis:
        meter = Meter(server)
        connector = Metered(meter)
        settings = QueueSettings(REDIS_URL=server.url)
        types = load_jobs()
        store = build_store(connector, settings, types)
        records = Records(connector.connect(WORKER), "one", LIFETIMES)
        act = await scene.prepare(World(redis, connector.connect(WORKER), store, records, types["email"]))
        meter.is_on = True
        await act()
        await store.server.redis.aclose()
        return meter.longest_ms, meter.calls


def main(names: list[str]) -> int:
    """Print a table; return 1 where a call is longer than it may be."""
    logging.getLogger("errand").setLevel(logging.ERROR)  # lost jobs are put back with a warning
    print(f"{platform.machine()}, Python {platform.python_version()}; CPU time of the server's main thread\n")
    print("| script | at | calls | longest, ms | most |\n|---|---|---|---|---|")
    failed = False
    for scene in SCENES:
        if names and scene.name not in names:
            continue
        longest, calls = asyncio.run(measure(scene))
        most = MOST_OF_BATCH_MS if scene.is_batch else MOST_MS
        failed = failed or longest > most
        print(f"| {scene.name} | {scene.at} | {calls} | {longest:.1f} | {most:.0f} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
