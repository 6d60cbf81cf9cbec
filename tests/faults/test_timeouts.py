"""Jobs past their time: ordinary ones, ones that swallow exceptions, ones stuck in C."""

import time

import pytest

from tests.support.processes import find_runner, is_alive
from tests.support.site import Site
from tests.support.waiting import wait_until

TIMEOUT_SECONDS = 2  # of brief and brief_alone
LATE_SECONDS = 5
QUICK = {("brief", ""), ("brief_alone", "block")}
CASES = [
    pytest.param(type, then, marks=() if (type, then) in QUICK else pytest.mark.slow)
    for type in ("brief", "brief_alone")
    for then in ("", "swallow", "block", "hold")
] + [pytest.param("brief_async", then, marks=pytest.mark.slow) for then in ("", "swallow", "block")]


def watch_until_it_starts_again(site: Site, job: str, pid: int) -> float:
    """Return when a process was last seen alive before the job's second start; 0.0 if never."""
    seen_at = 0.0

    def again() -> bool:
        nonlocal seen_at
        now = time.time()
        if is_alive(pid):
            seen_at = now
        return len(site.ledger.starts(job)) > 1

    deadline = time.monotonic() + 15
    while not again():
        assert time.monotonic() < deadline, site.read(job)
        time.sleep(0.01)
    return seen_at


@pytest.mark.parametrize(("type", "then"), CASES)
def test_it_is_recorded_in_time_and_tried_again_when_its_process_is_gone(site: Site, type: str, then: str) -> None:
    worker = site.start_ready_worker(WORKER_GRACE_SECONDS="1")
    job = site.post_noted(type, seconds=60, then=then)
    first = site.ledger.wait_for_start(job)
    runner = find_runner(worker.pid)
    wait_until(lambda: site.read(job)["error"], TIMEOUT_SECONDS + LATE_SECONDS)
    assert TIMEOUT_SECONDS - 0.1 < time.time() - first.at < TIMEOUT_SECONDS + LATE_SECONDS
    found = site.read(job)
    assert (found["status"], found["error"]["type"]) == ("scheduled", "JobTimeoutException")
    assert (found["attempts"], found["losses"], found["interruptions"]) == (1, 0, 0)
    seen_at = watch_until_it_starts_again(site, job, first.pid)
    second = site.ledger.starts(job)[1]
    if then or type == "brief_alone":  # else its thread has ended, and the process may go on
        assert seen_at < second.at
        assert second.pid != first.pid
    assert (find_runner(worker.pid) == runner) == (type == "brief_alone" or then == "")
    assert site.wait_for(site.post_noted())["status"] == "finished"
    assert worker.poll() is None


@pytest.mark.slow
@pytest.mark.parametrize("then", ["block", "hold"])
def test_the_neighbours_of_a_stuck_thread_end_or_are_interrupted(site: Site, then: str) -> None:
    ledger = site.ledger
    site.start_ready_worker(WORKER_GRACE_SECONDS="3")
    soon, later = site.post_noted(seconds=3.5), site.post_noted(seconds=12)
    alone = site.post_noted("alone", seconds=8)
    for job in (soon, later, alone):
        ledger.wait_for_start(job)
    stuck = site.post_noted("brief", seconds=60, then=then)
    held = ledger.wait_for_start(stuck).pid
    assert watch_until_it_starts_again(site, stuck, held) < ledger.starts(stuck)[1].at
    again = ledger.wait_for_start(later, 2)
    assert again.pid != ledger.starts(later)[0].pid
    assert (site.read_counts(later)["interruptions"], site.read_counts(later)["losses"]) == (1, 0)
    assert site.read_counts(later)["retries_left"] == 2
    assert site.read_counts(soon)["losses"] == 0
    if then != "hold":  # that one lets nobody else end
        assert site.read(soon)["status"] == "finished"
        assert ledger.count(soon) == (1, 1)
    assert site.wait_for(alone)["status"] == "finished"
    assert ledger.count(alone) == (1, 1)


@pytest.mark.slow
def test_the_neighbours_of_a_job_that_blocks_the_loop_spend_no_try(site: Site) -> None:
    ledger = site.ledger
    on_loop, in_thread = site.post_noted("brief_async", seconds=6), site.post_noted(seconds=3.5)
    site.give_time(on_loop, 60)
    site.start_ready_worker(WORKER_GRACE_SECONDS="3")
    for job in (on_loop, in_thread):
        ledger.wait_for_start(job)
    stuck = site.post_noted("brief_async", seconds=60, then="block")
    held = ledger.wait_for_start(stuck).pid
    assert watch_until_it_starts_again(site, stuck, held) < ledger.starts(stuck)[1].at
    assert site.wait_for(in_thread)["status"] == "finished"
    assert ledger.count(in_thread) == (1, 1)
    again = ledger.wait_for_start(on_loop, 2)
    assert again.pid != held
    counts = site.read_counts(on_loop)
    assert (counts["attempts"], counts["interruptions"], counts["losses"], counts["retries_left"]) == (2, 1, 0, 1)


@pytest.mark.slow
def test_a_new_job_does_not_wait_for_a_stuck_one(site: Site) -> None:
    site.start_ready_worker()  # with the whole grace of 25 s
    held = site.post_noted(seconds=20)
    stuck = site.post_noted("brief", seconds=60, then="block")
    for job in (held, stuck):
        site.ledger.wait_for_start(job)
    site.wait_for(stuck, "scheduled")
    new = site.post_noted()
    site.ledger.wait_for_start(new, timeout_seconds=5)


@pytest.mark.slow
def test_only_the_late_one_of_many_is_ended(site: Site) -> None:
    worker = site.start_ready_worker()
    runner = find_runner(worker.pid)
    in_time = [site.post_noted("brief", seconds=1.5) for _ in range(6)]
    late = [site.post_noted("brief", seconds=30) for _ in range(3)]
    for job in in_time:
        assert site.wait_for(job)["status"] == "finished"
        assert site.ledger.count(job) == (1, 1)
    for job in late:
        found = site.wait_for(job)
        assert (found["status"], found["error"]["type"]) == ("failed", "JobTimeoutException")
        assert site.ledger.count(job) == (2, 0)
    assert find_runner(worker.pid) == runner
