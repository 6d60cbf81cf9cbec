"""A tab that is open for a day: what comes over its stream is not kept."""

from collections.abc import Callable
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import CDPSession, Page, Route
from redis import Redis

from tests.api.stored import Stored
from tests.support.services import Services

pytestmark = pytest.mark.browser

EVENTS, ROUNDS = 120, 4  # by each event the page changes itself; it takes so many at a time, so often
MOST_BYTES, MOST_NODES = 200_000, 100  # more than the engine compiles meanwhile, about 500 bytes an event


def read_event(url: str) -> bytes:
    """Return the first event of a page's stream, with all of its sections."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=30)
    connection.request("GET", f"{parts.path}?seen=")
    answer, event = connection.getresponse(), b""
    while not event.endswith(b"\n\n"):
        event += answer.readline()
    connection.close()
    return event


def measure_after(page: Page, session: CDPSession, condition: Callable[[], bool]) -> dict[str, float]:
    """Wait for a condition, then measure."""
    while not condition():
        page.wait_for_timeout(50)
    return measure(session)


def measure(session: CDPSession) -> dict[str, float]:
    """Return the bytes of the heap, nodes and listeners after everything that can be collected was."""
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return {name: found[name] for name in ("JSHeapUsedSize", "Nodes", "JSEventListeners")}


@pytest.mark.parametrize("path", ["", "/jobs"])
def test_a_page_keeps_nothing_of_what_came_by_its_stream(
    page: Page, services: Services, redis: Redis, path: str
) -> None:
    url, stored = f"{services.base_url}/console/live{path}", Stored(redis)
    states = []
    for _ in range(2):
        for _ in range(20):
            stored.failed()
            services.post("echo", {"value": 1}, "?tag=blue")
        states.append(read_event(url))
    assert states[0] != states[1]
    sent: list[Route] = []

    def send(route: Route) -> None:
        """Answer with many events at once: the page takes them, and comes for more."""
        sent.append(route)
        route.fulfill(content_type="text/event-stream", body=b"".join(states) * (EVENTS // 2))

    page.route(lambda address: "/console/live" in address, send)
    page.goto(f"/console{path}")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    first = measure_after(page, session, lambda: len(sent) > 1)
    last = measure_after(page, session, lambda: len(sent) > ROUNDS)
    assert last["JSHeapUsedSize"] - first["JSHeapUsedSize"] < MOST_BYTES
    assert last["JSEventListeners"] <= first["JSEventListeners"]
    assert last["Nodes"] < first["Nodes"] + MOST_NODES
