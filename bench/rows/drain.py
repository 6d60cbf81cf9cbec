"""No-op jobs drained by one worker and by two, status and result kept.

All jobs are stored before the worker starts, and the clock runs from the first look at which 5 % of them have ended to
the one at which all have: so no system pays for its start and its imports. A worker is one process that runs jobs.
The watcher asks the server every 10 ms for one count that it keeps anyway.
"""

from contextlib import ExitStack

from bench.figure import Bar, Result
from bench.server import start_server
from bench.system import System

NAME = "drain"
TITLE = "No-op jobs, jobs/s"
BARS = [
    Bar("one worker", 3.0),
    Bar("one worker", 20.0, against="rq"),
    Bar("two workers", 1.2, against="errand", other="one worker"),
    Bar("two workers", 1.0),
]
# As many as take each system some seconds.
JOBS = {"errand": 40_000, "rq": 2_000, "celery": 5_000, "dramatiq": 16_000, "huey": 25_000}
JOBS_OF_OTHERS = 10_000


def measure(system: System) -> list[Result]:
    """Return jobs/s of one worker and of two; for Errand also at its default, and with other promises of the disk."""
    count = JOBS.get(system.name, JOBS_OF_OTHERS)
    results = [
        Result("one worker", drain(system, "noop", count), "jobs/s"),
        Result("two workers", drain(system, "noop", count * 3 // 2, workers=2), "jobs/s"),
    ]
    if system.name == "errand":
        default = drain(system, "noop", count, WORKER_THREADS="16")
        results.append(Result("one worker, 16 threads", default, "jobs/s"))
        for appendfsync in ("always", "none"):
            rate = drain(system, "noop", count, appendfsync=appendfsync)
            results.append(Result(f"one worker, appendfsync {appendfsync}", rate, "jobs/s"))
    return results


def drain(
    system: System, job: str, count: int, workers: int = 1, appendfsync: str = "everysec", **environment: str
) -> float:
    """Return the rate at which `workers` drain `count` jobs, in jobs/s."""
    with start_server(appendfsync) as server, ExitStack() as processes:
        system.call(server, "enqueue", job, count)
        for _ in range(workers):
            processes.enter_context(system.start_worker(server, job, **environment))
        seen = system.call(server, "watch", count, count // 20)
    return seen["jobs"] / seen["seconds"]
