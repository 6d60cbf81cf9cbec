"""SIGTERM, as platforms send it when they deploy: to every process at once."""

import signal
import time

import pytest

from tests.support.ledgers import Ledger
from tests.support.processes import find_descendants, is_alive, signal_all
from tests.support.site import Site
from tests.support.waiting import wait_until

BRIEF = {"WORKER_GRACE_SECONDS": "1"}
INTERRUPTED = {"attempts": 1, "interruptions": 1, "losses": 0, "retries_left": 2}


def test_a_job_that_ends_within_the_grace_ends_and_nothing_new_is_taken(site: Site, ledger: Ledger) -> None:
    worker = site.start_ready_worker(WORKER_GRACE_SECONDS="4")
    jobs = [site.post_noted(type, seconds=1.5) for type in ("ledger", "alone")]
    for job in jobs:
        ledger.wait_for_start(job)
    signal_all(worker.pid, signal.SIGTERM)
    late = site.post_noted()
    assert worker.wait(8) == 0
    for job in jobs:
        assert site.read(job)["status"] == "finished"
        assert ledger.count(job) == (1, 1)
    assert site.list_queued() == [late]
    assert ledger.starts(late) == []


@pytest.mark.quick
def test_idle_it_ends_at_once(site: Site) -> None:
    worker = site.start_ready_worker()
    family = find_descendants(worker.pid)
    signal_all(worker.pid, signal.SIGTERM)
    assert worker.wait(3) == 0
    assert not any(map(is_alive, family))
    assert site.redis.scard("rq:workers") == 0


@pytest.mark.parametrize(
    "to_all",
    [pytest.param(True, id="to every process"), pytest.param(False, id="to the supervisor", marks=pytest.mark.slow)],
)
def test_longer_jobs_go_back_to_the_front_in_order_and_spend_no_try(site: Site, ledger: Ledger, to_all: bool) -> None:
    worker = site.start_ready_worker(WORKER_THREADS="3", **BRIEF)
    jobs = []
    for _ in range(3):
        jobs.append(site.post_noted(seconds=2.5))
        ledger.wait_for_start(jobs[-1])
    jobs += [site.post_noted(seconds=0) for _ in range(2)]
    sent_at = time.monotonic()
    signal_all(worker.pid, signal.SIGTERM) if to_all else worker.send_signal(signal.SIGTERM)
    assert worker.wait(6) == 0
    assert time.monotonic() - sent_at < 3
    assert site.list_queued() == jobs
    for job in jobs[:3]:
        assert site.read(job)["status"] == "queued"
        assert site.read_counts(job) == INTERRUPTED
    site.start_ready_worker()
    for job in jobs:
        assert site.wait_for(job)["status"] == "finished"
        assert len(ledger.ends(job)) == 1
    assert site.read_counts(jobs[0]) == {**INTERRUPTED, "attempts": 2}
    site.assert_nothing_is_left()


def test_a_job_in_a_child_goes_back_too_and_nothing_of_it_lives_on(site: Site, ledger: Ledger) -> None:
    worker = site.start_ready_worker(**BRIEF)
    jobs = [site.post_noted("alone", seconds=30, then=then) for then in ("", "swallow", "block")]
    for job in jobs:
        ledger.wait_for_start(job)
    family = find_descendants(worker.pid)
    assert site.end(worker, 6) == 0
    assert not any(map(is_alive, family))
    assert sorted(site.list_queued()) == sorted(jobs)
    assert [site.read_counts(job) for job in jobs] == [INTERRUPTED] * 3


@pytest.mark.slow
@pytest.mark.parametrize("type", ["ledger", "alone"])
def test_what_hinders_the_interpreter_does_not_hinder_the_end(site: Site, ledger: Ledger, type: str) -> None:
    worker = site.start_ready_worker(**BRIEF)
    job = site.post_noted(type, seconds=30, then="hold")
    ledger.wait_for_start(job)
    assert site.end(worker, 8) == 0
    assert site.list_queued() == [job]
    assert site.read_counts(job) == INTERRUPTED


@pytest.mark.quick("alone")
@pytest.mark.parametrize("type", [pytest.param("ledger", marks=pytest.mark.slow), "alone"])
def test_a_process_of_a_jobs_own_that_got_the_signal_costs_no_try(site: Site, ledger: Ledger, type: str) -> None:
    worker = site.start_ready_worker(**BRIEF)
    job = site.post_noted(type, seconds=10, then="spawn")
    held = ledger.wait_for_start(job).pid
    wait_until(lambda: find_descendants(held))
    assert site.end(worker, 8) == 0
    assert site.list_queued() == [job]
    assert site.read_counts(job) == INTERRUPTED


@pytest.mark.parametrize("type", ["ledger", pytest.param("alone", marks=pytest.mark.slow)])
def test_a_failure_while_draining_is_an_interruption(site: Site, ledger: Ledger, type: str) -> None:
    worker = site.start_ready_worker(**BRIEF)
    job = site.post_noted(type, seconds=0.5, then="fail")
    ledger.wait_for_start(job)
    assert site.end(worker) == 0
    assert site.list_queued() == [job]
    assert site.read_counts(job) == INTERRUPTED


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param([signal.SIGTERM] * 2, id="SIGTERM twice"),
        pytest.param([signal.SIGINT], id="SIGINT", marks=pytest.mark.slow),
        pytest.param([signal.SIGINT] * 2, id="SIGINT twice", marks=pytest.mark.slow),
    ],
)
def test_sigterm_twice_and_sigint_end_it_sooner(site: Site, ledger: Ledger, numbers: list[int]) -> None:
    worker = site.start_ready_worker()  # with the whole grace of 25 s
    jobs = [site.post_noted(type, seconds=30) for type in ("ledger", "alone", "ledger")]
    for job in jobs:
        ledger.wait_for_start(job)
    family = find_descendants(worker.pid)
    sent_at = time.monotonic()
    for number in numbers:
        signal_all(worker.pid, number)
        time.sleep(0.5)  # a person's pause between two of them
    assert worker.wait(10) == 0
    assert time.monotonic() - sent_at < 8
    assert not any(map(is_alive, family))
    assert site.list_started() == []
    assert sorted(site.list_queued()) == sorted(jobs)
    assert [site.read_counts(job) for job in jobs] == [INTERRUPTED] * 3


@pytest.mark.slow
def test_with_the_grace_as_it_is_the_command_ends_before_30_seconds(site: Site, ledger: Ledger) -> None:
    worker = site.start_ready_worker()
    ends, goes_back = site.post_noted(seconds=20), site.post_noted(seconds=40)
    stuck = site.post_noted(seconds=40, then="block")
    for job in (ends, goes_back, stuck):
        ledger.wait_for_start(job)
    sent_at = time.monotonic()
    assert site.end(worker, 40) == 0
    assert 24 < time.monotonic() - sent_at < 30
    assert site.read(ends)["status"] == "finished"
    assert site.list_queued() == [goes_back, stuck]
    assert site.list_started() == []
