"""From just before the enqueue call to the job's first act, on an idle worker: 150 jobs, one after another.

The client is connected and the worker warm (20 jobs before). The pause before each job is drawn from 10 to 60 ms, so
that it meets no rhythm of a poll. Sender and worker read the same clock.
"""

from statistics import quantiles

from bench.figure import Bar, Result
from bench.server import start_server
from bench.system import System

NAME = "latency"
TITLE = "Enqueue to start on an idle worker, ms"
BARS = [Bar("p50", 1.0, at_most=True), Bar("p99", 1.0, at_most=True)]
JOBS = 150
WARM_UP = 20  # jobs, after which imports and connections are there


def measure(system: System) -> list[Result]:
    """Return the median and the 99th percentile in milliseconds."""
    with start_server() as server, system.start_worker(server, "stamp"):
        system.call(server, "stamp", WARM_UP)
        waits = system.call(server, "stamp", JOBS)["seconds"]
    cuts = quantiles(waits, n=100)
    return [Result("p50", cuts[49] * 1000, "ms"), Result("p99", cuts[98] * 1000, "ms")]
