"""`kill -9` of one process of a worker: the runner, a job's child; and jobs that kill their own process."""

import os
import signal
from typing import Any

import pytest

from tests.support.ledgers import Ledger
from tests.support.processes import CHILD, RUNNER, find_runner, is_alive, list_processes, read_name
from tests.support.site import Site
from tests.support.waiting import wait_until

LOST_ONCE = {"attempts": 2, "interruptions": 0, "losses": 1, "retries_left": 2}
UNTOUCHED = {"attempts": 1, "interruptions": 0, "losses": 0, "retries_left": 2}


def find_children(pid: int) -> list[int]:
    return [child for child, (parent, _) in list_processes().items() if parent == pid]


def assert_finished(site: Site, job: str, counts: dict[str, Any]) -> None:
    assert site.wait_for(job)["status"] == "finished"
    assert site.read_counts(job) == counts
    assert site.ledger.count(job) == (counts["attempts"], 1)
    assert site.count_results(job) == 1


def test_a_killed_runners_jobs_run_again_within_2_seconds_in_children(site: Site, ledger: Ledger) -> None:
    worker = site.start_ready_worker()
    jobs = [site.post_noted(seconds=2) for _ in range(3)]
    alone = site.post_noted("alone", seconds=3)
    for job in (*jobs, alone):
        ledger.wait_for_start(job)
    runner = find_runner(worker.pid)
    os.kill(runner, signal.SIGKILL)
    for job in jobs:
        again = ledger.wait_for_start(job, 2, timeout_seconds=2)
        assert read_name(again.pid) == CHILD
    for job in jobs:
        assert_finished(site, job, LOST_ONCE)
    assert_finished(site, alone, UNTOUCHED)
    assert worker.poll() is None
    assert find_runner(worker.pid) not in (0, runner)
    site.assert_nothing_is_left()


@pytest.mark.slow
def test_the_next_job_runs_in_a_new_runner_within_2_seconds(site: Site, ledger: Ledger) -> None:
    worker = site.start_ready_worker()
    runner = find_runner(worker.pid)
    os.kill(runner, signal.SIGKILL)
    start = ledger.wait_for_start(site.post_noted(seconds=0.5), timeout_seconds=2)
    assert start.pid != runner
    assert read_name(start.pid) == RUNNER


def test_a_killed_childs_job_runs_again_within_2_seconds_and_its_neighbours_never_notice(
    site: Site, ledger: Ledger
) -> None:
    worker = site.start_ready_worker()
    threads = [site.post_noted(seconds=3) for _ in range(2)]
    killed, other = site.post_noted("alone", seconds=2), site.post_noted("alone", seconds=3)
    for job in (*threads, killed, other):
        ledger.wait_for_start(job)
    runner, child = find_runner(worker.pid), ledger.starts(killed)[0].pid
    assert read_name(child) == CHILD
    os.kill(child, signal.SIGKILL)
    assert ledger.wait_for_start(killed, 2, timeout_seconds=2).pid != child
    assert_finished(site, killed, LOST_ONCE)
    for job in (*threads, other):
        assert_finished(site, job, UNTOUCHED)
    assert find_runner(worker.pid) == runner


@pytest.mark.quick("alone")
@pytest.mark.parametrize("type", [pytest.param("ledger", marks=pytest.mark.slow), "alone"])
def test_what_a_killed_process_had_started_is_gone_too(site: Site, ledger: Ledger, type: str) -> None:
    site.start_ready_worker()
    job = site.post_noted(type, seconds=20, then="spawn")
    held = ledger.wait_for_start(job).pid
    (spawned,) = wait_until(lambda: [pid for pid in find_children(held) if read_name(pid) == "sleep"])
    os.kill(held, signal.SIGKILL)
    ledger.wait_for_start(job, 2, timeout_seconds=2)
    assert not is_alive(spawned)


@pytest.mark.quick("ledger-kill")
@pytest.mark.parametrize("then", ["kill", pytest.param("exit", marks=pytest.mark.slow)])
@pytest.mark.parametrize("type", ["ledger", pytest.param("alone", marks=pytest.mark.slow)])
def test_a_job_that_ends_its_process_each_time_fails_after_3_losses(site: Site, type: str, then: str) -> None:
    worker = site.start_ready_worker()
    job = site.post_noted(type, then=then)
    found = site.wait_for(job)
    assert (found["status"], found["error"]["type"]) == ("failed", "Lost")
    assert "3 times" in found["error"]["message"]
    assert site.read_counts(job) == {"attempts": 3, "interruptions": 0, "losses": 3, "retries_left": 2}
    assert site.ledger.count(job) == (3, 0)
    assert site.count_results(job) == 1
    assert worker.poll() is None
    site.assert_nothing_is_left()


@pytest.mark.slow
def test_it_takes_no_neighbour_with_it_more_than_once(site: Site, ledger: Ledger) -> None:
    site.start_ready_worker()
    neighbours = [site.post_noted(seconds=2) for _ in range(3)]
    alone = site.post_noted("alone", seconds=2)
    for job in (*neighbours, alone):
        ledger.wait_for_start(job)
    killer = site.post_noted(then="kill", seconds=0.3)
    assert site.wait_for(killer)["error"]["type"] == "Lost"
    for job in neighbours:
        assert_finished(site, job, LOST_ONCE)
    assert_finished(site, alone, UNTOUCHED)
