"""A worker that stands still for longer than its lease (SIGSTOP) and then goes on as if nothing had been (SIGCONT)."""

import os
import signal
import time

import pytest

from tests.support.processes import freeze, thaw
from tests.support.site import Site
from tests.support.waiting import wait_until

SOON = {"WORKER_LEASE_SECONDS": "2"}
SECONDS = 4.0


@pytest.mark.parametrize("type", ["ledger", pytest.param("alone", marks=pytest.mark.slow)])
def test_its_job_runs_elsewhere_and_its_late_reports_are_dropped(site: Site, type: str) -> None:
    ledger = site.ledger
    job = site.post_noted(type, seconds=SECONDS)
    late = site.start_ready_worker(**SOON)
    ledger.wait_for_start(job)
    wait_until(lambda: site.read(job)["progress"]["done"])
    owner = site.redis.hget(f"rq:job:{job}", "worker_name")
    frozen = freeze(late.pid)
    site.start_ready_worker(**SOON)
    again = ledger.wait_for_start(job, 2, timeout_seconds=6)
    assert again.pid not in frozen
    thaw(frozen)
    # The late one goes on reporting, far ahead of the other, and comes to its end first.
    while len(ledger.ends(job)) < 1:
        done = site.read(job)["progress"]["done"] or 0
        assert done <= time.time() - again.at + 0.2
        time.sleep(0.1)
    (end,) = ledger.ends(job)
    assert end.pid in frozen
    assert site.read(job)["status"] == "started"
    assert site.wait_for(job)["status"] == "finished"
    assert ledger.count(job) == (2, 2)
    assert site.count_results(job) == 1
    ((_, result),) = site.redis.xrange(f"rq:results:{job}")
    assert result[b"worker_name"] != owner
    assert site.read_counts(job) == {"attempts": 2, "interruptions": 0, "losses": 1, "retries_left": 2}
    assert job in site.read_log(late)
    assert "dropped" in site.read_log(late)
    site.assert_nothing_is_left()


@pytest.mark.slow
def test_it_takes_work_again(site: Site) -> None:
    worker = site.start_ready_worker(**SOON)
    held = site.post_noted(seconds=1)
    site.ledger.wait_for_start(held)
    frozen = freeze(worker.pid)
    time.sleep(3)
    thaw(frozen)
    assert site.wait_for(site.post_noted())["status"] == "finished"
    assert site.wait_for(held)["status"] == "finished"
    assert site.count_results(held) == 1
    assert worker.poll() is None


@pytest.mark.slow
def test_a_frozen_child_alone_holds_up_nobody_else(site: Site) -> None:
    worker = site.start_ready_worker(**SOON)
    job = site.post_noted("alone", seconds=2)
    child = site.ledger.wait_for_start(job).pid
    os.kill(child, signal.SIGSTOP)
    assert site.wait_for(site.post_noted("alone"))["status"] == "finished"
    time.sleep(2.5)  # longer than the lease, which its supervisor renews
    assert site.read(job)["status"] == "started"
    os.kill(child, signal.SIGCONT)
    assert site.wait_for(job)["status"] == "finished"
    assert site.ledger.count(job) == (1, 1)
    assert worker.poll() is None
