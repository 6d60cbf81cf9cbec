"""Twenty workers that recover and move what is due at once."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from rq import Queue

from errand.worker.maintenance.due import DueJobs
from errand.worker.records import Lifetimes, Records
from errand.worker.report import Report
from errand.worker.served import ServedQueues
from tests.support.processes import kill_all
from tests.support.site import Site

TWENTY = 20
JOBS = 200
LIFETIMES = Lifetimes(lease_seconds=10, result_seconds=60, failure_seconds=60, worker_seconds=60)


def build_records(site: Site, name: str) -> Records:
    return Records(Redis.from_url(site.environment["REDIS_URL"]), name, LIFETIMES)


def take(site: Site, count: int) -> list[str]:
    """Let a worker that dies at once take jobs; return their ids in the order taken."""
    jobs = [site.post_noted() for _ in range(count)]
    queues = ServedQueues(["default"], in_turn=False)
    executions = (
        build_records(site, "dead").exchange([], [f"dead{number}" for number in range(count)], queues).executions
    )
    assert [execution.job_id for execution in executions] == jobs
    return jobs


def end_leases(site: Site) -> None:
    for member in list[Any](site.redis.zrange("errand:leases", 0, -1)):
        site.redis.zadd("errand:leases", {member: 1})


def run_at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run each in a thread, all from the same moment; return what they return."""
    gate = threading.Barrier(len(works))
    answers: list[Any] = []

    def run(work: Callable[[], Any]) -> None:
        gate.wait()
        answers.append(work())

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(works)
    return answers


def recover_all(records: Records) -> list[str]:
    """Recover until there is nothing left; return the executions that it handed back."""
    found = []
    while pairs := records.leases.recover():
        found += [member for member, outcome in pairs if outcome]
    return found


@pytest.mark.quick
def test_each_job_is_handed_back_once(site: Site) -> None:
    jobs = take(site, JOBS)
    end_leases(site)
    recoverers = [build_records(site, f"w{number}") for number in range(TWENTY)]
    recovered = run_at_once(*(lambda records=records: recover_all(records) for records in recoverers))
    members = Counter(member for found in recovered for member in found)
    assert len(members) == JOBS
    assert set(members.values()) == {1}
    assert sorted(site.list_queued()) == sorted(jobs)
    assert {site.redis.hget(f"rq:job:{job}", "errand_losses") for job in jobs} == {b"1"}


def test_what_ends_while_it_is_recovered_is_either_ended_or_handed_back(site: Site) -> None:
    jobs = [site.post_noted() for _ in range(JOBS)]
    owner = build_records(site, "owner")
    executions = owner.exchange(
        [], [f"mine{number}" for number in range(JOBS)], ServedQueues(["default"], in_turn=False)
    ).executions
    end_leases(site)

    def finish() -> list[str]:
        return [
            owner.exchange([Report("finished", execution, ended=time.time())]).answers[0] for execution in executions
        ]

    recoverers = [build_records(site, f"w{number}") for number in range(TWENTY - 1)]
    run_at_once(finish, *(lambda records=records: recover_all(records) for records in recoverers))
    queued = site.list_queued()
    assert len(set(queued)) == len(queued)
    finished = {job for job in jobs if site.read(job)["status"] == "finished"}
    assert finished | set(queued) == set(jobs)
    assert not finished & set(queued)
    assert all(site.count_results(job) == 1 for job in finished)


@pytest.mark.slow
@pytest.mark.parametrize("option", ["", "--with-scheduler"])
def test_a_dead_workers_lock_holds_nothing_up_for_more_than_5_seconds(site: Site, option: str) -> None:
    worker = site.start_ready_worker(*filter(None, [option]))
    assert site.wait_for(site.post_noted(query="?delay_seconds=0.5"))["status"] == "finished"
    kill_all(worker.pid)
    job = site.post_noted(query="?delay_seconds=0.5")
    site.start_ready_worker()
    site.ledger.wait_for_start(job, timeout_seconds=5)


def test_twenty_movers_and_twenty_recoverers_push_no_id_twice(site: Site) -> None:
    for _ in range(5):
        site.redis.flushall()
        lost = take(site, 50)
        end_leases(site)
        queue = Queue("default", connection=site.redis, serializer="json")
        due = [site.post_noted(query="?delay_seconds=3600") for _ in range(50)]
        for job in due:
            site.redis.zadd("rq:scheduled:default", {job: time.time() - 1})
        movers = [DueJobs(Redis.from_url(site.environment["REDIS_URL"]), [queue]) for _ in range(TWENTY)]
        recoverers = [build_records(site, f"w{number}") for number in range(TWENTY)]
        run_at_once(
            *(mover.move for mover in movers),
            *(lambda records=records: recover_all(records) for records in recoverers),
        )
        assert sorted(site.list_queued()) == sorted(lost + due)
