"""A finished job read over 32 connections, `GET /v1/jobs/{id}`: answers a second.

As the single POST is measured (rows/post.py); «bare» answers as much JSON without asking anything.
"""

from bench.answer import FINISHED, check_size
from bench.figure import Bar, Result
from bench.load import Request, put_under_load
from bench.rows.post import CONNECTIONS, SECONDS, WARM_UP_SECONDS
from bench.server import Server, start_server
from bench.site import Site, run_site
from bench.system import System
from bench.waiting import wait_until

NAME = "read"
TITLE = "GET a finished job, requests/s"
SYSTEMS = ("errand", "bare")
BARS = [Bar("32 connections", 0.5, against="bare")]
FINISH_SECONDS = 20.0  # in which a worker starts


def measure(system: System) -> list[Result]:
    """Return requests/s and their latency."""
    with start_server() as server, run_site(system, server) as site:
        request = site.ask("GET", "/job/7") if site.system == "bare" else _finish(system, server, site)
        put_under_load(request, CONNECTIONS, WARM_UP_SECONDS)
        load = put_under_load(request, CONNECTIONS, SECONDS)
    return [Result("32 connections", load.per_second, "requests/s"), Result("p99 ms", load.p99_ms, "ms")]


def _finish(system: System, server: Server, site: Site) -> Request:
    """Let a worker run one job and end; return the request that reads it. Raises TimeoutError."""
    id = site.ask("POST", "/v1/jobs/noop", {}, 202).send()["id"]
    request = site.ask("GET", f"/v1/jobs/{id}")
    with system.start_worker(server):
        wait_until(lambda: request.send()["status"] == "finished", "the job to read has not finished", FINISH_SECONDS)
    answer = request.send()
    check_size(answer, FINISHED)
    return request
