"""Due jobs: never early, at most 2 s late, once, whatever dies."""

import math
import os
import random
import signal
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tests.support.processes import find_runner, kill_all
from tests.support.services import Process
from tests.support.site import Site
from tests.support.waiting import wait_until

LATE_SECONDS = 2.0
SOON = {"WORKER_LEASE_SECONDS": "2"}


def post_due(site: Site, count: int, first: float, last: float, random: random.Random) -> dict[str, float]:
    """Post jobs that are due at random times (seconds from now); return each one's time, as the API shows it."""
    due = {}
    for _ in range(count):
        wanted = datetime.now(UTC) + timedelta(seconds=random.uniform(first, last))
        job = site.post_noted(query=f"?run_at={wanted.isoformat().replace('+', '%2B')}")
        due[job] = datetime.fromisoformat(site.read(job)["run_at"]).timestamp()
        assert due[job] == math.ceil(wanted.timestamp())
    return due


def assert_on_time(site: Site, due: dict[str, float]) -> None:
    """Each job started when it was due, and ran once; one that was lost with its worker ran again."""
    lost = []
    for job, at in due.items():
        assert site.wait_for(job)["status"] == "finished"
        starts = site.ledger.starts(job)
        assert starts[0].at >= at
        if site.read_counts(job)["losses"]:
            lost.append(job)
        else:
            assert starts[0].at <= at + LATE_SECONDS, starts[0].at - at
            assert len(starts) == 1
    assert len(lost) <= len(due) / 10
    assert site.redis.zcard("rq:scheduled:default") == 0


def start_plain_scheduler(site: Site) -> Process:
    """Start a plain `rq worker --with-scheduler`, and keep it busy with a job, so that it takes none of ours."""
    plain = site.start_plain_worker("--with-scheduler")
    busy = site.post_noted(seconds=50)
    site.ledger.wait_for_start(busy)
    wait_until(lambda: site.redis.get("rq:scheduler-lock:default"))
    assert site.redis.get("rq:scheduler-lock:default") != b"errand"
    return plain


def test_through_the_death_of_a_worker(site: Site) -> None:
    workers = [site.start_worker(**SOON) for _ in range(2)]
    for worker in workers:
        wait_until(lambda worker=worker: find_runner(worker.pid))
    due = post_due(site, 30, 0.5, 4, random.Random(1))
    time.sleep(1.5)
    kill_all(workers[0].pid)
    assert_on_time(site, due)


@pytest.mark.slow
def test_through_the_death_of_a_plain_scheduler(site: Site) -> None:
    plain = start_plain_scheduler(site)
    site.start_ready_worker(**SOON)
    due = post_due(site, 20, 0.5, 6, random.Random(2))
    time.sleep(2)
    kill_all(plain.pid)  # it held the lock, for a minute by its own word
    assert_on_time(site, due)


@pytest.mark.slow
def test_retries_are_due_jobs_too(site: Site) -> None:
    worker = site.start_ready_worker()
    jobs = [site.post_noted(then="fail") for _ in range(10)]
    for job in jobs:
        assert site.wait_for(job)["attempts"] == 3
        starts = [line.at for line in site.ledger.starts(job)]
        assert len(starts) == 3
        for before, after in pairwise(starts):
            assert 1 <= after - before <= 1 + 1 + LATE_SECONDS  # a second's wait, rounded up to a whole one
    assert worker.poll() is None


@pytest.mark.slow
def test_with_five_workers_that_die_at_random_beside_a_plain_one(site: Site) -> None:
    dice = random.Random(3)
    plain = start_plain_scheduler(site)
    workers = [site.start_worker(**SOON) for _ in range(5)]
    for worker in workers:
        wait_until(lambda worker=worker: find_runner(worker.pid))
    due = post_due(site, 80, 1, 12, dice)
    doomed = dice.sample([plain, *workers], 3)
    for process in doomed:
        time.sleep(dice.uniform(0.5, 3.5))
        kill_all(process.pid)
    if plain not in doomed:
        os.kill(plain.pid, signal.SIGTERM)
    assert_on_time(site, due)
