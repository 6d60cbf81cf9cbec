"""Plain RQ beside ours: its worker, `rq info` and the dashboard take nothing from ours, and ours nothing from them."""

import sys
import time

import pytest

from tests.support.processes import kill_all
from tests.support.site import Site
from tests.support.waiting import wait_until

PAGES = ["/dashboard/", "/dashboard/0/view/queues", "/dashboard/0/view/jobs", "/dashboard/0/view/workers"]


def look_around(site: Site) -> None:
    """Do what cleans RQ's registries: `rq info`, the dashboard's pages, the start of a plain worker."""
    info = site.run(sys.executable, "-m", "rq.cli", "info", "--url", site.environment["REDIS_URL"])
    assert info.wait(30) == 0, site.read_log(info)
    for page in PAGES:
        assert site.client.get(page).status_code == 200, page
    for queue in ("default", "email"):
        for registry in ("queued", "started", "failed", "finished", "scheduled"):
            answer = site.client.get(f"/dashboard/0/data/jobs/{queue}/{registry}/8/asc/1.json")
            assert answer.status_code == 200, (queue, registry)
    plain = site.start_plain_worker("--burst")
    assert plain.wait(30) == 0, site.read_log(plain)


@pytest.mark.slow
def test_a_look_around_changes_nothing_of_what_runs(site: Site) -> None:
    ours = site.start_ready_worker()
    jobs = [site.post_noted(type, seconds=8) for type in ("ledger", "alone")]
    for job in jobs:
        site.ledger.wait_for_start(job)
    time.sleep(2)
    look_around(site)
    for job in jobs:
        assert site.wait_for(job)["status"] == "finished"
        assert site.ledger.count(job) == (1, 1)
        assert site.count_results(job) == 1
    assert ours.poll() is None
    site.assert_nothing_is_left()


def test_both_drain_the_same_queue_each_job_once(site: Site) -> None:
    site.start_ready_worker(WORKER_THREADS="2")
    plain = site.start_plain_worker()
    wait_until(lambda: "Listening" in site.read_log(plain))
    jobs = [site.post_noted(seconds=0.2) for _ in range(30)]
    pids = set()
    for job in jobs:
        assert site.wait_for(job)["status"] == "finished"
        assert site.ledger.count(job) == (1, 1)
        assert site.count_results(job) == 1
        assert site.read_counts(job)["attempts"] == 1
        pids.add(site.ledger.starts(job)[0].pid)
    assert len(pids) > 2  # the runner, and a process for each job of the plain worker


@pytest.mark.slow
def test_what_a_dead_plain_worker_held_is_left_to_rq(site: Site) -> None:
    plain = site.start_plain_worker()
    theirs = site.post_noted(seconds=30)
    site.ledger.wait_for_start(theirs)
    kill_all(plain.pid)
    site.start_ready_worker(WORKER_LEASE_SECONDS="2")
    assert site.wait_for(site.post_noted())["status"] == "finished"
    with pytest.raises(AssertionError):
        site.ledger.wait_for_start(theirs, 2, timeout_seconds=4)
    assert site.read(theirs)["status"] == "started"
    assert site.redis.zcard("rq:wip:default") == 1


def post_long(site: Site, type: str) -> str:
    job = site.post_noted(type, seconds=100)
    site.give_time(job, 3600)
    return job


@pytest.mark.slow
def test_jobs_longer_than_rqs_heartbeat_are_held_by_both(site: Site) -> None:
    theirs = post_long(site, "ledger")
    plain = site.start_plain_worker()
    site.ledger.wait_for_start(theirs)
    held = [post_long(site, type) for type in ("ledger", "alone")]
    ours = site.start_ready_worker()
    for job in held:
        site.ledger.wait_for_start(job)
    while time.time() < site.ledger.starts(theirs)[0].at + 85:
        time.sleep(9)
        look_around(site)
        for job in (theirs, *held):
            assert site.read(job)["status"] == "started"
    for job in (theirs, *held):
        assert site.wait_for(job, timeout_seconds=40)["status"] == "finished"
        assert site.ledger.count(job) == (1, 1)
        assert site.count_results(job) == 1
    assert (ours.poll(), plain.poll()) == (None, None)
