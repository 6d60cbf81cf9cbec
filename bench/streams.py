"""`python -m bench.streams [COUNT]`: open streams on one API process, their memory and how late a job's end comes."""

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

from bench.api import start_api
from bench.processes import read_cpu, read_memory_bytes
from bench.server import start_server
from bench.system import WORKER
from errand.local.child_process import die_with_parent

ROUNDS = 20  # as many seconds, in each of which a share of the jobs is due
BATCH_LIMIT = 1_000  # jobs, the API's
OPENING = 100  # streams that are opened at once
QUIET_SECONDS = 10  # in which the CPU of open streams is measured


@dataclass
class Ends:
    """When each stream got its `end`, in seconds after the job's."""

    late: list[float] = field(default_factory=list)
    opened: int = 0

    def show(self) -> str:
        """Return the percentiles in milliseconds."""
        cuts = quantiles(self.late, n=100)
        return f"p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms, most {max(self.late) * 1000:.0f} ms"


@contextmanager
def run(command: Sequence[str], environment: dict[str, str], log: Path) -> Iterator[int]:
    """Run a process until the block ends; give its pid."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, preexec_fn=die_with_parent)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


async def call(port: int, method: str, path: str, body: Any = None) -> Any:
    """Send one request; return the answer's JSON."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    answer = await reader.read()
    writer.close()
    return json.loads(answer.partition(b"\r\n\r\n")[2])


async def watch(port: int, id: str, gate: asyncio.Semaphore, ends: Ends) -> None:
    """Open a stream, let the next one in at its first event, and note when its end comes."""
    async with gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        writer.write(f"GET /v1/jobs/{id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readuntil(b"data: ")
        ends.opened += 1
    await reader.readuntil(b"event: end\n")
    heard_at = datetime.now(UTC)
    await reader.readuntil(b"data: ")
    ended_at = datetime.fromisoformat(json.loads(await reader.readline())["ended_at"])
    ends.late.append((heard_at - ended_at).total_seconds())
    writer.close()


async def measure(port: int, pid: int, redis_pid: int, count: int) -> None:
    """Print what `count` streams cost, each on a job of its own, then all on one job."""
    for each in (True, False):
        before = read_memory_bytes(pid)
        first_due = int(time.time()) + 15 + count // 100
        ids = await post(port, count if each else 1, first_due)
        ends, gate = Ends(), asyncio.Semaphore(OPENING)
        began = time.monotonic()
        streams = [asyncio.create_task(watch(port, ids[n % len(ids)], gate, ends)) for n in range(count)]
        while ends.opened < count:  # noqa: ASYNC110 - two thousand would set one event
            await asyncio.sleep(0.05)
        seconds = time.monotonic() - began
        await asyncio.sleep(1)
        memory, cpu, redis_cpu = read_memory_bytes(pid), read_cpu(pid), read_cpu(redis_pid)
        await asyncio.sleep(QUIET_SECONDS)
        print(f"{count} streams on {len(ids)} jobs, opened in {seconds:.1f} s")
        if each:  # afterwards the process has room that it does not give back
            print(f"  memory: {(memory - before) / count / 1024:.0f} KB a stream, {memory / 2**20:.0f} MB in all")
        print(f"  CPU while nothing happens: API {(read_cpu(pid) - cpu) / QUIET_SECONDS:.1%}, ", end="")
        print(f"Redis {(read_cpu(redis_pid) - redis_cpu) / QUIET_SECONDS:.1%} of a core")
        await asyncio.gather(*streams)
        print(f"  from a job's end to the event: {ends.show()}", flush=True)


async def post(port: int, count: int, first_due: int) -> list[str]:
    """Store `count` jobs, a share of them due in each of the coming seconds; return their ids."""
    ids: list[str] = []
    share = max(1, min(BATCH_LIMIT, count // ROUNDS))
    for number, start in enumerate(range(0, count, share)):
        due = datetime.fromtimestamp(first_due + number, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        items = [{"text": "x"}] * min(share, count - start)
        batch = await call(port, "POST", f"/v1/batches/log?run_at={due}", {"items": items})
        ids += [job["id"] for job in batch["jobs"]]
    return ids


def main() -> None:
    """Measure, with services of its own."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with (
        tempfile.TemporaryDirectory(prefix="errand-bench-") as folder,
        start_server() as server,
        start_api(server.url) as api,
    ):
        environment = {"REDIS_URL": server.url, "LOG_URL": f"file:{folder}/log.txt", "PATH": os.environ["PATH"]}
        environment |= {"DATABASE_URL": f"sqlite:///{folder}/errand.db", "ERRAND_LOCAL": "1"}
        environment |= {"SMTP_URL": "smtp://127.0.0.1:1", "MAIL_FROM": "bench@example.com"}  # nothing is sent
        with run([sys.executable, *WORKER], environment, Path(folder, "worker.log")):
            asyncio.run(measure(api.port, api.pid, server.pid, count))


if __name__ == "__main__":
    main()
