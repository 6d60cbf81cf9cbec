"""Damaged records in places that a worker comes to on its way; tests/worker/test_damage.py has those that it takes."""

from collections.abc import Callable

import pytest
from redis import Redis
from rq import Queue

from tests.support.processes import kill_all
from tests.support.site import Site
from tests.support.waiting import wait_until

SOON = {"WORKER_LEASE_SECONDS": "2"}
DAMAGE: dict[str, Callable[[Redis, str], object]] = {
    "deleted": lambda redis, key: redis.delete(key),
    "no hash": lambda redis, key: (redis.delete(key), redis.set(key, "text")),
    "a bad number": lambda redis, key: redis.hset(key, "errand_losses", "many"),
    "no queue": lambda redis, key: redis.hdel(key, "origin"),
    "a time-out that is no number": lambda redis, key: redis.hset(key, "timeout", "long"),
    "bytes that are no text": lambda redis, key: redis.hset(key, "description", b"\xff\xfe"),
    "dependents that are no set": lambda redis, key: redis.set(f"{key}:dependents", "text"),
    "results that are no stream": lambda redis, key: redis.set(key.replace("rq:job", "rq:results"), "text"),
}


@pytest.mark.slow
@pytest.mark.parametrize("delay", ["", "?delay_seconds=1"])
def test_an_unknown_function_fails_with_its_name_queued_or_scheduled(site: Site, delay: str) -> None:
    queue = Queue("default", connection=site.redis, serializer="json")
    job = queue.create_job("os.getcwd", description="x")
    if delay:
        queue.schedule_job(job, job.created_at)
    else:
        queue.enqueue_job(job)
    worker = site.start_ready_worker()
    found = site.wait_for(job.id)
    assert found["status"] == "failed"
    assert "'os.getcwd' is no function of a file in jobs/" in found["error"]["message"]
    assert site.wait_for(site.post_noted(query=delay))["status"] == "finished"
    assert worker.poll() is None


def test_jobs_damaged_while_they_run_hold_nobody_up(site: Site) -> None:
    worker = site.start_ready_worker(**SOON)
    cases = [(damage, site.post_noted(type, seconds=2)) for damage in DAMAGE for type in ("ledger", "alone")]
    neighbours = [site.post_noted(type, seconds=2) for type in ("ledger", "alone")]
    for job in [job for _, job in cases] + neighbours:
        site.ledger.wait_for_start(job)
    for damage, job in cases:
        DAMAGE[damage](site.redis, f"rq:job:{job}")
    for job in [*neighbours, site.post_noted()]:
        assert site.wait_for(job)["status"] == "finished", site.read_log(worker)
        assert site.ledger.count(job) == (1, 1)
    wait_until(lambda: not site.redis.zcard("errand:leases"))
    assert worker.poll() is None


@pytest.mark.slow
def test_recovery_goes_on_behind_damaged_jobs(site: Site) -> None:
    cases = [(damage, site.post_noted(seconds=20)) for damage in DAMAGE]
    others = [site.post_noted(seconds=20) for _ in range(2)]
    dead = site.start_ready_worker(**SOON)
    for job in [job for _, job in cases] + others:
        site.ledger.wait_for_start(job)
    kill_all(dead.pid)
    for damage, job in cases:
        DAMAGE[damage](site.redis, f"rq:job:{job}")
    worker = site.start_ready_worker(**SOON)
    for job in others:
        site.ledger.wait_for_start(job, 2, timeout_seconds=6)
    assert worker.poll() is None
