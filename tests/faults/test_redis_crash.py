"""A Redis that is killed, and one whose power is cut: the embedded server loses nothing that was acknowledged."""

import threading
import time

import pytest

from tests.support.servers import Server
from tests.support.site import Site


@pytest.fixture
def data_folder() -> None:
    """The disk, for it is the disk's power that is cut."""


def post_until_refused(site: Site, stop: threading.Event) -> list[str]:
    """Post jobs one after another; return those that were acknowledged."""
    acknowledged = []
    while not stop.is_set():
        answer = site.call("POST", "/v1/jobs/ledger", {"ledger": str(site.ledger.path)})
        if answer.status != 202:
            assert answer.status == 503
            break
        acknowledged.append(answer.body["id"])
    return acknowledged


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill_in_the_middle(own_site: Site, server: Server) -> None:
    workers = [own_site.start_ready_worker(WORKER_LEASE_SECONDS="2") for _ in range(2)]
    long = [own_site.post_noted(type, seconds=3) for type in ("ledger", "alone")]
    for job in long:
        own_site.ledger.wait_for_start(job)
    timer = threading.Timer(0.5, server.kill)
    timer.start()
    acknowledged = post_until_refused(own_site, threading.Event())
    timer.join()
    assert len(acknowledged) > 10
    server.start()
    for job in (*long, *acknowledged):
        assert own_site.wait_for(job, timeout_seconds=30)["status"] == "finished"
        assert len(own_site.ledger.ends(job)) >= 1
        assert own_site.count_results(job) == 1
    assert [own_site.ledger.count(job) for job in long] == [(1, 1)] * 2
    assert [worker.poll() for worker in workers] == [None, None]
    own_site.assert_nothing_is_left()


def note_or_skip(server: Server) -> None:
    try:
        server.note_synced()
    except OSError as error:
        pytest.skip(f"this kernel does not show what is on the disk: {error}")


def test_what_was_acknowledged_survives_a_power_cut(own_site: Site, server: Server) -> None:
    note_or_skip(server)
    acknowledged = []
    for number in range(50):
        query = "?delay_seconds=2" if number % 5 == 0 else ""
        acknowledged.append(own_site.post_noted(query=query))
        server.note_synced()
    own_site.redis.set("errand:late", "x" * 100_000)  # what nobody was promised; the cut tears it in two
    server.cut_power(torn_bytes=100)
    server.start()
    assert not own_site.redis.exists("errand:late")
    own_site.start_ready_worker()
    for job in acknowledged:
        assert own_site.wait_for(job)["status"] == "finished"
        assert own_site.ledger.count(job) == (1, 1)


@pytest.mark.slow
def test_a_power_cut_while_workers_are_busy_loses_no_job(own_site: Site, server: Server) -> None:
    note_or_skip(server)
    for _ in range(2):
        own_site.start_ready_worker(WORKER_LEASE_SECONDS="2")
    acknowledged = []
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        acknowledged.append(own_site.post_noted(seconds=0.2))
    server.freeze_synced()
    server.cut_power()
    server.start()
    for job in acknowledged:
        assert own_site.wait_for(job, timeout_seconds=30)["status"] == "finished"
        assert own_site.ledger.count(job) == (1, 1)
        assert own_site.count_results(job) == 1
    own_site.assert_nothing_is_left()
