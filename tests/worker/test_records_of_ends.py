"""The worker's scripts, called directly: what is recorded when a job ends, and whose word counts."""

import time
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Retry
from rq.job import Dependency, Job
from rq.registry import FailedJobRegistry

from errand.worker.attempt import JobStopped, describe_failure
from errand.worker.records import Records
from errand.worker.report import Report
from tests.worker.scripts import ECHO, build_records, end_leases, enqueue, list_held, read, send_report, take


def test_an_end_leaves_no_hold(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue, 3)
    for kind, execution in zip(("finished", "failed", "stopped"), take(records, 3), strict=True):
        send_report(records, kind, execution)
    assert list_held(redis) == []
    assert redis.hget("rq:worker:one", "state") == b"idle"


@pytest.mark.parametrize(("kind", "seconds"), [("finished", 500), ("failed", 1000)])
def test_what_does_not_say_how_long_it_is_kept_is_kept_as_long_as_the_worker_says(
    redis: Redis, queue: Queue, records: Records, kind: str, seconds: int
) -> None:
    (id,) = enqueue(queue)
    redis.sadd(f"rq:job:{id}:dependents", "gone")
    redis.sadd(f"rq:job::{id}:dependencies", "gone")
    send_report(records, kind, take(records)[0])
    for key in (f"rq:job:{id}", f"rq:job:{id}:dependents", f"rq:job::{id}:dependencies"):
        assert seconds - 2 <= redis.ttl(key) <= seconds
    assert redis.zscore(f"rq:{kind}:default", id) - time.time() == pytest.approx(seconds, abs=2)


def test_a_worker_with_another_job_stays_busy(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue, 2)
    first, _ = take(records, 2)
    send_report(records, "finished", first)
    assert redis.hget("rq:worker:one", "state") == b"busy"


def test_a_workers_counts_are_kept(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue, 3)
    executions = take(records, 3)
    kinds = ("finished", "failed", "finished")
    records.exchange(
        [
            Report(kind, execution, ended=execution.started + 2)
            for kind, execution in zip(kinds, executions, strict=True)
        ]
    )
    found = redis.hmget("rq:worker:one", "successful_job_count", "failed_job_count")
    assert found == [b"2", b"1"]
    assert float(redis.hget("rq:worker:one", "total_working_time") or 0) == pytest.approx(6)


@pytest.mark.parametrize("kind", ["finished", "failed", "permanent", "stopped", "interrupted"])
def test_a_report_after_the_lease_was_taken_away_changes_nothing(
    redis: Redis, queue: Queue, records: Records, kind: str
) -> None:
    (id,) = enqueue(queue, retry=Retry(3))
    (late,) = take(records)
    end_leases(redis)
    assert build_records(redis, "two").leases.recover() == [(late.member, "queued")]
    (now,) = take(build_records(redis, "two"), prefix="f")
    before = redis.hgetall(f"rq:job:{id}")
    assert send_report(records, "progress", late, "late") == "late"
    assert send_report(records, kind, late) == "late"
    assert redis.hgetall(f"rq:job:{id}") == before
    assert redis.exists(f"rq:results:{id}") == 0
    assert redis.zrange("errand:leases", 0, -1) == [now.member.encode()]


@pytest.mark.parametrize("kind", ["finished", "failed", "interrupted"])
def test_a_job_canceled_while_it_ran_stays_so_and_is_let_go(
    redis: Redis, queue: Queue, records: Records, kind: str
) -> None:
    (id,) = enqueue(queue, retry=Retry(3))
    (execution,) = take(records)
    redis.hset(f"rq:job:{id}", "status", "canceled")
    assert send_report(records, kind, execution) == "canceled"
    assert read(redis, id, "status", "retries_left") == [b"canceled", b"3"]
    assert list_held(redis) == []
    assert redis.llen("rq:queue:default") == 0


@pytest.mark.parametrize("kind", ["finished", "failed", "interrupted"])
def test_a_job_deleted_while_it_ran_is_let_go(redis: Redis, queue: Queue, records: Records, kind: str) -> None:
    (id,) = enqueue(queue)
    (execution,) = take(records)
    redis.delete(f"rq:job:{id}")
    assert send_report(records, "progress", execution) == "deleted"
    assert list_held(redis) != []
    assert send_report(records, kind, execution) == "deleted"
    assert list_held(redis) == []
    assert redis.keys("rq:job:*") == []


def test_an_end_that_cannot_be_recorded_quarantines_its_job_alone(redis: Redis, queue: Queue, records: Records) -> None:
    damaged, _ = enqueue(queue, 2)
    executions = take(records, 2)
    redis.set(f"rq:results:{damaged}", "text")
    exchange = records.exchange([Report("finished", execution, ended=time.time()) for execution in executions])
    assert exchange.answers == ["broken", "finished"]
    assert exchange.quarantined[0][0] == damaged
    assert read(redis, damaged, "status") == [b"failed"]
    assert list_held(redis) == []


@pytest.mark.parametrize(("kind", "status"), [("finished", "finished"), ("failed", "failed"), ("stopped", "stopped")])
def test_a_batch_learns_of_each_end(redis: Redis, queue: Queue, records: Records, kind: str, status: str) -> None:
    (id,) = enqueue(queue)
    redis.hset(f"rq:job:{id}", "errand_batch", "b")
    redis.hset("errand:batch:b", id, "queued")
    send_report(records, kind, take(records)[0])
    assert redis.hget("errand:batch:b", id) == status.encode()


def test_a_batch_that_has_expired_is_not_made_again(redis: Redis, queue: Queue, records: Records) -> None:
    (id,) = enqueue(queue)
    redis.hset(f"rq:job:{id}", "errand_batch", "b")
    assert send_report(records, "finished", take(records)[0]) == "finished"
    assert redis.exists("errand:batch:b") == 0


def test_a_retry_is_due_at_a_whole_second_and_not_before(redis: Redis, queue: Queue, records: Records) -> None:
    (id,) = enqueue(queue, retry=Retry(2, [10, 30]))
    reported_at = time.time()
    assert send_report(records, "failed", take(records)[0]) == "scheduled"
    due = redis.zscore("rq:scheduled:default", id)
    assert due == int(due)
    assert reported_at + 10 <= due < time.time() + 11


def test_the_intervals_come_in_their_order(redis: Redis, queue: Queue, records: Records) -> None:
    (id,) = enqueue(queue, retry=Retry(3, [10, 100, 1000]))
    waits = []
    for _ in range(3):
        send_report(records, "failed", take(records)[0])
        waits.append(round(redis.zscore("rq:scheduled:default", id) - time.time(), -1))
        redis.delete("rq:scheduled:default")
        redis.hset(f"rq:job:{id}", "status", "queued")
        redis.rpush("rq:queue:default", id)
    assert waits == [10, 100, 1000]
    assert send_report(records, "failed", take(records)[0]) == "failed"


@pytest.mark.parametrize("interval", [0, 5])
def test_a_retry_waits_at_least_for_the_delay_asked_for(
    redis: Redis, queue: Queue, records: Records, interval: int
) -> None:
    (id,) = enqueue(queue, retry=Retry(1, interval))
    assert send_report(records, "failed", take(records)[0], delay_seconds=27) == "scheduled"
    assert 26.9 < redis.zscore("rq:scheduled:default", id) - time.time() < 28.1


@pytest.mark.parametrize(("kind", "status", "left"), [("permanent", "failed", b"0"), ("stopped", "stopped", b"3")])
def test_neither_a_permanent_error_nor_a_stop_is_tried_again(
    redis: Redis, queue: Queue, records: Records, kind: str, status: str, left: bytes
) -> None:
    (id,) = enqueue(queue, retry=Retry(3))
    assert send_report(records, kind, take(records)[0]) == status
    assert redis.llen("rq:queue:default") == 0
    assert id in FailedJobRegistry("default", redis)
    assert read(redis, id, "status", "retries_left") == [status.encode(), left]


def test_a_retry_makes_its_queue_known_again(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue, retry=Retry(1))
    (execution,) = take(records)
    redis.delete("rq:queues")
    assert send_report(records, "failed", execution) == "queued"
    assert redis.smembers("rq:queues") == {b"rq:queue:default"}


def add_dependents(queue: Queue, *options: dict[str, Any]) -> list[Job]:
    """Enqueue a job and some that wait for it; return those."""
    parent = queue.enqueue_call(ECHO)
    return [queue.enqueue_call(ECHO, depends_on=Dependency(parent, **option)) for option in options]


def test_a_stop_cancels_dependents_even_those_that_allow_failure(redis: Redis, queue: Queue, records: Records) -> None:
    jobs = add_dependents(queue, {}, {"allow_failure": True})
    for job in jobs:
        redis.hset(job.key, "errand_batch", "b")
        redis.hset("errand:batch:b", job.id, "deferred")
    (execution,) = take(records)
    records.exchange([describe_failure(execution, JobStopped())])
    assert [job.get_status() for job in jobs] == ["canceled"] * 2
    assert set(redis.hvals("errand:batch:b")) == {b"canceled"}
    assert redis.zcard("rq:deferred:default") == 0
    assert redis.zcard("rq:canceled:default") == 2


def test_a_dependent_is_queued_once_and_leaves_its_parents_list(redis: Redis, queue: Queue, records: Records) -> None:
    (job,) = add_dependents(queue, {})
    send_report(records, "finished", take(records)[0])
    assert redis.lrange("rq:queue:default", 0, -1) == [job.id.encode()]
    assert redis.exists("rq:job:{}:dependents".format(*job._dependency_ids)) == 0
    assert redis.zcard("rq:deferred:default") == 0


@pytest.mark.parametrize(("allows", "status"), [(True, "queued"), (False, "deferred")])
def test_one_that_allows_failure_waits_for_no_other_failed_parent(
    queue: Queue, records: Records, allows: bool, status: str
) -> None:
    failed, parent = (queue.enqueue_call(ECHO, job_id=id) for id in ("failed", "parent"))
    job = queue.enqueue_call(ECHO, depends_on=Dependency([failed, parent], allow_failure=allows))
    first, second = take(records, 2)
    queue.connection.hset(failed.key, "status", "failed")
    send_report(records, "finished", second)
    assert first.job_id == "failed"
    assert job.get_status() == status
