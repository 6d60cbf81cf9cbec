"""Jobs that sleep 5 ms, as one that waits for a server does: one process, each system at its best concurrency.

Measured as the no-op jobs are (rows/drain.py).
"""

from bench.figure import Bar, Result
from bench.rows.drain import drain
from bench.system import System

NAME = "nap"
TITLE = "Jobs that sleep 5 ms, jobs/s"
BARS = [Bar("one worker", 1.5)]
# As many as take each system some seconds.
JOBS = {"errand": 30_000, "rq": 800, "celery": 4_000, "dramatiq": 12_000, "huey": 16_000}
JOBS_OF_OTHERS = 10_000


def measure(system: System) -> list[Result]:
    """Return jobs/s of one worker."""
    count = JOBS.get(system.name, JOBS_OF_OTHERS)
    return [Result("one worker", drain(system, "nap", count), "jobs/s")]
