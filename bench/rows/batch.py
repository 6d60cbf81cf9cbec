"""1,000 e-mail jobs a request, `POST /v1/batches/email`: jobs a second, over 2 connections.

As the single POST is measured (rows/post.py). Each peer's own call for many, where it has one, stands behind the same
endpoint. The single POST of the same run is beside it.
"""

from bench.figure import Bar, Result
from bench.rows.post import SYSTEMS as POSTING
from bench.rows.post import load_and_count, post
from bench.server import start_server
from bench.site import run_site
from bench.system import System

NAME = "batch"
TITLE = "POST 1,000 e-mail jobs at once, jobs/s"
SYSTEMS = tuple(name for name in POSTING if name != "bare")
BARS = [Bar("1,000 a request", 1.9, against="errand", other="one a request"), Bar("1,000 a request", 1.0)]
ITEMS = 1000
CONNECTIONS = 2  # one request is validated while the other one is stored


def measure(system: System) -> list[Result]:
    """Return jobs/s; for Errand also those of single POSTs."""
    results = [Result("1,000 a request", post_batches(system), "jobs/s")]
    if system.name == "errand":
        results.append(Result("one a request", post(system).per_second, "jobs/s"))
    return results


def post_batches(system: System) -> float:
    """Return jobs/s."""
    with start_server() as server, run_site(system, server) as site:
        request = site.post_emails(ITEMS)
        request.send()
        return ITEMS * load_and_count(server, request, CONNECTIONS, ITEMS, answered=1).per_second
