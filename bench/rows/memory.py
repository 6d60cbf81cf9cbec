"""A worker's memory: the proportional set size of all its processes, idle and after 10,000 jobs.

Errand is also measured after 100,000, with 16 threads; the others run as they drain no-op jobs. Idle is 2 s after the
first 20 jobs.
"""

import time

from bench.figure import Bar, Result
from bench.server import start_server
from bench.system import System

NAME = "memory"
TITLE = "Memory of one worker, MB"
REPEATS = 1
BARS = [
    Bar("idle", 90.0, against="", at_most=True),
    Bar("after 100,000 jobs", 1.1, against="errand", other="after 10,000 jobs", at_most=True),
]
WARM_UP = 20  # jobs, after which imports and connections are there
REST_SECONDS = 2.0


def measure(system: System) -> list[Result]:
    """Return megabytes (10^6 bytes) at each point."""
    results, ran = [], 0
    points = {"idle": WARM_UP, "after 10,000 jobs": 10_000}
    if system.name == "errand":
        points["after 100,000 jobs"] = 100_000
    with start_server() as server, system.start_worker(server, WORKER_THREADS="16") as worker:
        for figure, count in points.items():
            system.call(server, "enqueue", "noop", count - ran)
            system.call(server, "watch", count)
            ran = count
            time.sleep(REST_SECONDS)
            results.append(Result(figure, worker.measure_pss_bytes() / 1e6, "MB"))
    return results
