"""`python -m bench.schedules [COUNT] [WORKERS]`: how late the jobs of many schedules are that are due in one second.

Each is `*/2 * * * *` with `catch_up: none` and a no-op job; the workers are idle until the next even minute. Printed
are when all jobs are stored and when all have run, counted from that minute, how many are missed, and the CPU of server
and workers.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redis import Redis

from bench.environments import ROOT
from bench.processes import list_tree, read_cpu
from bench.server import Server, start_server
from bench.system import WORKER
from bench.waiting import wait_until
from errand.redis import keys
from errand.redis.connection import connect
from errand.store.enqueue import Enqueuer
from errand.store.schedules.schedule import Schedule
from errand.store.schedules.schedules import Schedules
from errand.store.settings import QueueSettings

COUNT = 10_000
PERIOD_SECONDS = 120  # of the schedules' cron line
LONGEST_SECONDS = 600.0  # five periods: what is not served by then won't be
LOOK_SECONDS = 0.05  # each look asks the server that is measured


async def store(server: Server, count: int) -> list[str]:
    """Store the schedules as the API does; return their names."""
    redis = connect(server.url)
    enqueuer = Enqueuer(redis, QueueSettings(REDIS_URL=server.url), {})
    schedules = Schedules(redis, enqueuer.builder, enqueuer.memory, {})
    names = [f"every-other-minute-{number}" for number in range(count)]
    for name in names:
        await schedules.put(Schedule(name, "noop", {}, cron="*/2 * * * *", catch_up="none"))
    await redis.aclose()
    return names


@contextmanager
def run_worker(server: Server, folder: Path, number: int) -> Iterator[int]:
    """Run a worker that knows the bench's jobs until the block ends."""
    environment = {"REDIS_URL": server.url, "PATH": os.environ["PATH"], "PYTHONPATH": str(folder)}
    with (folder / f"worker-{number}.log").open("wb") as log:
        command = [sys.executable, *WORKER]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def wait(condition: Callable[[], object]) -> float:
    """Return the time when it is so. Raises TimeoutError."""
    wait_until(condition, "the schedules are not served", LONGEST_SECONDS, LOOK_SECONDS)
    return time.time()


def read_all_cpu(pids: list[int]) -> float:
    """Return the seconds of CPU of processes and of those that they have started."""
    return read_cpu(*(each for pid in pids for each in list_tree(pid)))


def measure(redis: Redis, server: Server, names: list[str], workers: list[int]) -> None:
    """Let all be due in one second, and print what becomes of them."""
    due_at = int(time.time()) // PERIOD_SECONDS * PERIOD_SECONDS + PERIOD_SECONDS
    redis.zadd(keys.SCHEDULES, dict.fromkeys(names, due_at))
    wait(lambda: time.time() > due_at - 1)
    cpu, server_cpu = read_all_cpu(workers), read_cpu(server.pid)
    stored = wait(lambda: not redis.zcount(keys.SCHEDULES, due_at, due_at))
    last = [redis.lindex(f"{keys.SCHEDULE}{name}{keys.RUNS}", 0) or b"" for name in names]
    missed = sum(b'"missed"' in run for run in last)
    ran = wait(lambda: redis.zcard(f"{keys.FINISHED}default") >= len(names) - missed)
    cpu, server_cpu = read_all_cpu(workers) - cpu, read_cpu(server.pid) - server_cpu
    print(f"{len(names):,} schedules, {len(workers)} workers, load {os.getloadavg()[0]:.1f}: ", end="")
    print(f"stored after {stored - due_at:.1f} s, run after {ran - due_at:.1f} s, {missed:,} missed; ", end="")
    print(f"CPU {cpu:.1f} s workers, {server_cpu:.1f} s server")
    slowest = redis.slowlog_get(1)
    print(f"longest script {slowest[0]['duration'] / 1000 if slowest else 0:.1f} ms (none: under 2)")


def main() -> None:
    """Start services, and measure them."""
    count, workers = ([int(word) for word in sys.argv[1:]] + [COUNT, 1][len(sys.argv) - 1 :])[:2]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="errand-bench-")))
        shutil.copy(ROOT / "worker.py", folder)
        (folder / "jobs").mkdir()
        for file in (ROOT / "jobs/__init__.py", ROOT / "bench/jobs/noop.py"):
            shutil.copy(file, folder / "jobs")
        server = stack.enter_context(start_server())
        redis = stack.enter_context(server.connect())
        names = asyncio.run(store(server, count))
        redis.zadd(keys.SCHEDULES, dict.fromkeys(names, "+inf"))
        started = [stack.enter_context(run_worker(server, folder, number)) for number in range(workers)]
        wait(lambda: redis.scard(keys.WORKERS) == workers)
        time.sleep(2)  # they import, and have nothing to do
        redis.config_set("slowlog-max-len", 1)
        redis.config_set("slowlog-log-slower-than", 2000)
        measure(redis, server, names, started)


if __name__ == "__main__":
    main()
