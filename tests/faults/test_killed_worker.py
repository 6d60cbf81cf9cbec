"""`kill -9` of a worker and all its children, and of its supervisor alone, while another worker is alive."""

import os
import signal

import pytest

from tests.support.ledgers import Ledger
from tests.support.processes import CHILD, find_descendants, freeze, is_alive, kill_all, read_name, signal_all
from tests.support.site import Site
from tests.support.waiting import wait_until

SOON = {"WORKER_LEASE_SECONDS": "2"}


def start_spare(site: Site, **environment: str) -> int:
    """Start a worker that takes nothing before `wake`; return its process id."""
    worker = site.start_ready_worker(**environment)
    freeze(worker.pid)
    return worker.pid


def wake(worker: int) -> None:
    signal_all(worker, signal.SIGCONT)


def test_its_jobs_run_again_once_however_long_their_timeouts(site: Site, ledger: Ledger) -> None:
    other = start_spare(site, **SOON)
    jobs = [site.post_noted(type, seconds=2) for type in ("ledger", "ledger", "alone")]
    site.give_time(jobs[1], 3600)
    killed = site.start_ready_worker(**SOON)
    for job in jobs:
        ledger.wait_for_start(job)
    kill_all(killed.pid)
    wake(other)
    for job in jobs:
        again = ledger.wait_for_start(job, 2, timeout_seconds=6)
        assert again.pid in find_descendants(other)
        assert read_name(again.pid) == CHILD
    for job in jobs:
        assert site.wait_for(job)["status"] == "finished"
        assert ledger.count(job) == (2, 1)
        assert site.read_counts(job) == {"attempts": 2, "interruptions": 0, "losses": 1, "retries_left": 2}
        assert site.count_results(job) == 1
    site.assert_nothing_is_left()


@pytest.mark.slow
def test_with_the_settings_as_they_are_they_run_again_within_15_seconds(site: Site, ledger: Ledger) -> None:
    other = start_spare(site)
    jobs = [site.post_noted(type, seconds=5) for type in ("ledger", "alone")]
    for job in jobs:
        site.give_time(job, 3600)
    killed = site.start_ready_worker()
    for job in jobs:
        ledger.wait_for_start(job)
    kill_all(killed.pid)
    wake(other)
    for job in jobs:
        ledger.wait_for_start(job, 2, timeout_seconds=15)


@pytest.mark.slow
def test_jobs_that_wait_are_run_by_the_other_at_once(site: Site, ledger: Ledger) -> None:
    killed = site.start_ready_worker(WORKER_THREADS="1", **SOON)
    held = site.post_noted(seconds=5)
    ledger.wait_for_start(held)
    waiting = site.post_noted()
    kill_all(killed.pid)
    site.start_ready_worker(**SOON)
    site.wait_for(waiting, "finished")
    assert ledger.count(waiting) == (1, 1)
    assert site.read_counts(waiting)["attempts"] == 1


def test_a_killed_supervisor_takes_its_children_along(site: Site, ledger: Ledger) -> None:
    other = start_spare(site, **SOON)
    jobs = [site.post_noted(type, seconds=2, then=then) for type in ("ledger", "alone") for then in ("", "block")]
    killed = site.start_ready_worker(**SOON)
    for job in jobs:
        ledger.wait_for_start(job)
    family = find_descendants(killed.pid)
    assert len(family) == 3  # the runner, two children
    os.kill(killed.pid, signal.SIGKILL)
    wake(other)
    wait_until(lambda: not any(map(is_alive, family)), 2)
    for job in jobs:
        assert site.wait_for(job)["status"] == "finished"
        assert ledger.count(job) == (2, 1)
        assert site.count_results(job) == 1
    site.assert_nothing_is_left()
