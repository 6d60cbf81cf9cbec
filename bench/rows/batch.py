"""1,000 e-mail jobs a request, `POST /v1/batches/email`: jobs a second, over 2 connections.

As the single POST is measured (rows/post.py). Each peer's own call for many, where it has one, stands behind the same
endpoint. The single POST of the same run is beside it.
"""

from bench.context import Context
from bench.figure import Bar, Result
from bench.rows.post import SYSTEMS as POSTING
from bench.rows.post import load_and_count, post
from bench.site import run_site

NAME = "batch"
TITLE = "POST 1,000 e-mail jobs at once, jobs/s"
SYSTEMS = tuple(name for name in POSTING if name != "bare")
BARS = [Bar("1,000 a request", 1.9, against="errand", other="one a request"), Bar("1,000 a request", 1.0)]
ITEMS = 1000
CONNECTIONS = 2


def measure(context: Context) -> list[Result]:
    """Return jobs/s; for Errand also those of single POSTs."""
    results = [Result("1,000 a request", post_batches(context), "jobs/s")]
    if context.system.name == "errand":
        results.append(Result("one a request", post(context).per_second, "jobs/s"))
    return results


def post_batches(context: Context) -> float:
    """Return jobs/s."""
    with context.start_server() as server, run_site(context.system, server) as site:
        request = site.post_emails(ITEMS)
        request.send()
        return ITEMS * load_and_count(server, request, CONNECTIONS, ITEMS, answered=1).per_second
