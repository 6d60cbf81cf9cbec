"""One e-mail job a request, `POST /v1/jobs/email`, over 32 connections: answers a second.

One uvicorn process with the Procfile's options, uvloop and httptools; wrk with one thread on the same machine, 1 s to
warm up, then 3 s. Errand runs in production mode, with a key. The peers' clients stand behind the same endpoint
(bench/web.py), «bare» is that endpoint without a queue. One that blocks is called from a `def` endpoint, as FastAPI
wants it; what it reaches in the event loop, where each call stops all other requests until Redis has answered, stands
beside. Every answer is a 202, and for each the server holds a job.
"""

from bench.answer import POSTED, check_size
from bench.figure import Bar, Result
from bench.load import Load, Request, put_under_load
from bench.server import Server, start_server
from bench.site import run_site
from bench.stored import check_stored
from bench.system import System

NAME = "post"
TITLE = "POST one e-mail job, requests/s"
SYSTEMS = ("errand", "bare", "rq", "celery", "dramatiq", "arq", "saq", "taskiq", "streaq", "huey")
BARS = [Bar("32 connections", 0.5, against="bare"), Bar("32 connections", 1.4)]
BLOCKING = ("rq", "celery", "dramatiq", "huey")
CONNECTIONS = 32
WARM_UP_SECONDS = 1  # the first requests build what later ones use
SECONDS = 3  # thousands of answers; nine systems in three repeats take minutes


def measure(system: System) -> list[Result]:
    """Return requests/s and their latency; then with other promises of the disk, or from a `def` endpoint."""
    blocks = system.name in BLOCKING
    load = post(system, in_thread=blocks)
    results = [Result("32 connections", load.per_second, "requests/s"), Result("p99 ms", load.p99_ms, "ms")]
    if system.name == "errand":
        for appendfsync in ("always", "none"):
            rate = post(system, appendfsync).per_second
            results.append(Result(f"32 connections, appendfsync {appendfsync}", rate, "requests/s"))
    if blocks:
        results.append(Result("32 connections, in the event loop", post(system).per_second, "requests/s"))
    return results


def post(system: System, appendfsync: str = "everysec", in_thread: bool = False) -> Load:
    """Put the single POST under load and return what wrk counted."""
    with start_server(appendfsync) as server, run_site(system, server) as site:
        request = site.post_email(in_thread)
        answer = request.send()
        if site.system == "errand":
            check_size(answer, POSTED)
        return load_and_count(server, request, CONNECTIONS, 0 if site.system == "bare" else 1, answered=1)


def load_and_count(server: Server, request: Request, connections: int, jobs: int, answered: int) -> Load:
    """Warm up, measure, and check that each answer, the `answered` before too, left `jobs` jobs in Redis."""
    warm_up = put_under_load(request, connections, WARM_UP_SECONDS)
    load = put_under_load(request, connections, SECONDS)
    answers = answered + warm_up.answers + load.answers
    check_stored(server, jobs * answers, jobs * 2 * connections)
    return load
