"""A finished job read over 32 connections, `GET /v1/jobs/{id}`: answers a second.

As the single POST is measured (rows/post.py); «bare» answers as much JSON without asking anything.
"""

import time

from bench.answer import FINISHED, check_size
from bench.context import Context
from bench.figure import Bar, Result
from bench.load import Request, put_under_load
from bench.rows.post import CONNECTIONS, SECONDS, WARM_UP_SECONDS
from bench.server import Server
from bench.site import Site, run_site

NAME = "read"
TITLE = "GET a finished job, requests/s"
SYSTEMS = ("errand", "bare")
BARS = [Bar("32 connections", 0.5, against="bare")]
FINISH_SECONDS = 20.0


def measure(context: Context) -> list[Result]:
    """Return requests/s and their latency."""
    with context.start_server() as server, run_site(context.system, server) as site:
        request = site.ask("GET", "/job/7") if site.system == "bare" else _finish(context, server, site)
        put_under_load(request, CONNECTIONS, WARM_UP_SECONDS)
        load = put_under_load(request, CONNECTIONS, SECONDS)
    return [Result("32 connections", load.per_second, "requests/s"), Result("p99 ms", load.p99_ms, "ms")]


def _finish(context: Context, server: Server, site: Site) -> Request:
    """Let a worker run one job and end; return the request that reads it. Raises TimeoutError."""
    id = site.ask("POST", "/v1/jobs/noop", {}, 202).send()["id"]
    request = site.ask("GET", f"/v1/jobs/{id}")
    deadline = time.monotonic() + FINISH_SECONDS
    with context.system.start_worker(server):
        while (answer := request.send())["status"] != "finished":
            if time.monotonic() > deadline:
                raise TimeoutError(f"the job to read is still {answer['status']}")
            time.sleep(0.05)
    check_size(answer, FINISHED)
    return request
