"""A Redis that is restarted, with its append-only file, and away for a while."""

import os
import signal
import time

import pytest

from tests.support.processes import freeze, thaw
from tests.support.servers import Server
from tests.support.site import Site
from tests.support.waiting import wait_until


@pytest.mark.parametrize(
    "away_seconds", [3, pytest.param(40, marks=pytest.mark.slow), pytest.param(125, marks=pytest.mark.slow)]
)
def test_the_workers_live_and_each_job_runs_once(own_site: Site, server: Server, away_seconds: int) -> None:
    ledger = own_site.ledger
    ends_meanwhile = [own_site.post_noted(type, seconds=1.5) for type in ("ledger", "alone")]
    fails_meanwhile = own_site.post_noted("ledger", seconds=1.5, then="permanent")
    goes_on = [own_site.post_noted(type, seconds=away_seconds + 2) for type in ("ledger", "alone")]
    for job in goes_on:
        own_site.give_time(job, 3600)
    first = own_site.start_ready_worker()
    for job in (*ends_meanwhile, fails_meanwhile, *goes_on):
        ledger.wait_for_start(job)
    second = own_site.start_ready_worker()
    server.stop()
    time.sleep(away_seconds)
    for job in ends_meanwhile:
        assert ledger.count(job) == (1, 1)
    server.start()
    new = own_site.post_noted()
    ledger.wait_for_start(new, timeout_seconds=5)
    for job in (*ends_meanwhile, *goes_on, new):
        assert own_site.wait_for(job)["status"] == "finished"
        assert ledger.count(job) == (1, 1)
        assert own_site.count_results(job) == 1
        assert own_site.read_counts(job) == {"attempts": 1, "interruptions": 0, "losses": 0, "retries_left": 2}
    failed = own_site.wait_for(fails_meanwhile)
    assert (failed["status"], failed["error"]["message"]) == ("failed", "told to fail for good")
    assert own_site.count_results(fails_meanwhile) == 1
    assert (first.poll(), second.poll()) == (None, None)
    own_site.assert_nothing_is_left()


@pytest.mark.slow
@pytest.mark.parametrize("type", ["brief", "brief_alone"])
def test_a_job_that_ended_in_time_is_no_timeout_though_redis_heard_of_it_later(
    own_site: Site, server: Server, type: str
) -> None:
    own_site.start_ready_worker()
    job = own_site.post_noted(type, seconds=1.5)
    owner = own_site.ledger.wait_for_start(job).pid
    time.sleep(0.7)  # a beat of the supervisor, which sees it running
    server.stop()
    time.sleep(6)
    os.kill(owner, signal.SIGSTOP)  # so that its supervisor hears of the server first
    server.start()
    time.sleep(1.5)
    os.kill(owner, signal.SIGCONT)
    assert own_site.wait_for(job)["status"] == "finished"
    assert own_site.ledger.count(job) == (1, 1)
    assert own_site.count_results(job) == 1


@pytest.mark.slow
def test_a_worker_that_is_back_first_gives_the_others_the_time_of_a_lease(own_site: Site, server: Server) -> None:
    late = own_site.start_ready_worker(WORKER_LEASE_SECONDS="4")
    jobs = [own_site.post_noted(type, seconds=10) for type in ("ledger", "alone")]
    for job in jobs:
        own_site.ledger.wait_for_start(job)
    own_site.start_ready_worker(WORKER_LEASE_SECONDS="4")
    server.stop()
    time.sleep(5)
    frozen = freeze(late.pid)
    server.start()
    time.sleep(2)
    thaw(frozen)
    for job in jobs:
        assert own_site.wait_for(job)["status"] == "finished"
        assert own_site.ledger.count(job) == (1, 1)


@pytest.mark.slow
def test_idle_workers_take_work_within_5_seconds_of_its_return(own_site: Site, server: Server) -> None:
    workers = [own_site.start_ready_worker() for _ in range(2)]
    own_site.wait_for(own_site.post_noted())
    server.stop()
    time.sleep(1)
    server.start()
    own_site.ledger.wait_for_start(own_site.post_noted(), timeout_seconds=5)
    assert [worker.poll() for worker in workers] == [None, None]


def test_a_worker_started_while_it_is_away_waits_for_it(own_site: Site, server: Server) -> None:
    server.stop()
    worker = own_site.start_worker()
    wait_until(lambda: own_site.read_log(worker))
    time.sleep(2)
    assert worker.poll() is None, own_site.read_log(worker)
    server.start()
    own_site.ledger.wait_for_start(own_site.post_noted(), timeout_seconds=5)
    assert "Traceback" not in own_site.read_log(worker)


@pytest.mark.slow
def test_a_worker_that_waits_for_it_ends_on_sigterm(own_site: Site, server: Server) -> None:
    server.stop()
    worker = own_site.start_worker()
    wait_until(lambda: own_site.read_log(worker))
    own_site.end(worker, 5)
    assert "Traceback" not in own_site.read_log(worker)


@pytest.mark.slow
def test_a_worker_that_is_stopped_while_it_is_away_leaves_no_job_behind(own_site: Site, server: Server) -> None:
    jobs = [own_site.post_noted(type, seconds=20) for type in ("ledger", "alone")]
    worker = own_site.start_ready_worker(WORKER_GRACE_SECONDS="1", WORKER_LEASE_SECONDS="2")
    for job in jobs:
        own_site.ledger.wait_for_start(job)
    server.stop()
    own_site.end(worker, 15)  # it can't hand them back
    server.start()
    own_site.start_ready_worker(WORKER_LEASE_SECONDS="2")
    for job in jobs:
        own_site.ledger.wait_for_start(job, 2, timeout_seconds=8)


@pytest.mark.slow
def test_the_schedule_goes_on(own_site: Site, server: Server) -> None:
    own_site.start_ready_worker()
    job = own_site.post_noted(query="?delay_seconds=2")
    retried = own_site.post_noted("ledger", then="fail")
    own_site.wait_for(retried, "scheduled")
    server.stop()
    time.sleep(2)
    server.start()
    returned_at = time.time()
    assert own_site.ledger.wait_for_start(job).at < returned_at + 5
    assert own_site.ledger.wait_for_start(retried, 2).at < returned_at + 5
    own_site.wait_for(job, "finished")
    assert own_site.ledger.count(job) == (1, 1)
