"""The worker's scripts, called directly: taking jobs and holding them."""

import json
import time

import pytest
from redis import Redis
from rq import Queue, Retry, executions, rate_limit, registry
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.utils import current_timestamp

from errand.worker.records import Asking, Records
from tests.worker.scripts import ask, enqueue, list_held, read, send_report, take


def test_a_taken_job_is_held_in_every_record(redis: Redis, queue: Queue, records: Records) -> None:
    (id,) = enqueue(queue, timeout=60)
    (execution,) = take(records)
    assert (execution.job_id, execution.id, execution.queue, execution.timeout_seconds) == (id, "e0", "default", 60)
    assert read(redis, id, "status", "worker_name", "errand_attempts") == [b"started", b"one", b"1"]
    assert StartedJobRegistry("default", redis).get_job_and_execution_ids(cleanup=False) == [(id, "e0")]
    assert redis.smembers("rq:worker:one:executions") == {execution.member.encode()}
    assert redis.hget("rq:worker:one", "state") == b"busy"
    assert 9000 < redis.zscore("errand:leases", execution.member) - time.time() * 1000 < 11000


@pytest.mark.parametrize("timeout", [60, -1])
def test_rqs_own_records_have_no_end_for_rq_fails_what_is_past_its_score(
    redis: Redis, queue: Queue, records: Records, timeout: int
) -> None:
    (id,) = enqueue(queue, timeout=timeout)
    (execution,) = take(records)
    assert redis.zscore("rq:wip:default", execution.member) == float("inf")
    assert redis.zscore(f"rq:executions:{id}", "e0") == float("inf")
    assert redis.ttl(f"rq:execution:{execution.member}") > 365 * 86400
    assert redis.ttl(f"rq:executions:{id}") > 365 * 86400


@pytest.mark.parametrize("ahead_seconds", [2 * 3600, 366 * 86400])
def test_no_clock_however_wrong_takes_a_running_job(
    redis: Redis, queue: Queue, records: Records, monkeypatch: pytest.MonkeyPatch, ahead_seconds: int
) -> None:
    (id,) = enqueue(queue, timeout=60, retry=Retry(3))
    (execution,) = take(records)
    stamp = current_timestamp() + ahead_seconds
    for module in (registry, executions, rate_limit):
        monkeypatch.setattr(module, "current_timestamp", lambda: stamp)
    registry.clean_registries(queue)
    job = Job.fetch(id, redis, "json")
    assert [execution.id for execution in job.get_executions()] == ["e0"]
    assert queue.started_job_registry.get_job_ids() == [id]
    assert send_report(records, "finished", execution) == "finished"
    assert list_held(redis) == []


def test_a_job_without_end_has_no_time_out(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue, timeout=-1)
    (execution,) = take(records)
    assert execution.timeout_seconds == float("inf")
    assert records.leases.renew()[1] == {execution.member: float("inf")}


def test_a_start_forgets_what_the_last_attempt_left(redis: Redis, queue: Queue, records: Records) -> None:
    (id,) = enqueue(queue)
    redis.hset(f"rq:job:{id}", mapping={"errand_progress": "{}", "errand_error": "{}", "errand_attempts": 1})
    redis.expire(f"rq:job:{id}", 60)
    take(records)
    assert read(redis, id, "errand_progress", "errand_error", "errand_attempts") == [None, None, b"2"]
    assert redis.ttl(f"rq:job:{id}") == -1


@pytest.mark.parametrize("status", ["started", "finished", "canceled", "stopped", "deferred", "scheduled"])
def test_only_a_queued_job_is_taken(redis: Redis, queue: Queue, records: Records, status: str) -> None:
    other, id = enqueue(queue, 2)
    redis.hset(f"rq:job:{other}", "status", status)
    assert [execution.job_id for execution in take(records, 2)] == [id]
    assert read(redis, other, "status", "errand_attempts") == [status.encode(), None]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("data", None),
        ("status", "elsewhere"),
        ("created_at", "yesterday"),
        ("timeout", "long"),
        ("timeout", "inf"),  # a number, which EXPIRE refuses: it is half taken then
        ("result_ttl", "long"),
        ("failure_ttl", "long"),
        ("retries_left", "many"),
        ("errand_attempts", "many"),
    ],
)
def test_a_damaged_job_is_quarantined_with_a_reason_and_the_next_one_taken(
    redis: Redis, queue: Queue, records: Records, field: str, value: str | None
) -> None:
    damaged, id = enqueue(queue, 2)
    key = f"rq:job:{damaged}"
    redis.hset(key, "errand_batch", "b")
    redis.hset("errand:batch:b", damaged, "queued")
    redis.hdel(key, field) if value is None else redis.hset(key, field, value)
    exchange = ask(records, ["e0", "e1"])
    assert [execution.job_id for execution in exchange.executions] == [id]
    ((id, reason),) = exchange.quarantined
    assert id == damaged
    assert reason.startswith("its record can't be read: ")
    error = json.loads(redis.hget(key, "errand_error"))
    assert error == {"type": "DamagedJob", "message": reason}
    assert redis.hget(key, "status") == b"failed"
    assert 990 < redis.ttl(key) <= 1000
    assert redis.hget("errand:batch:b", damaged) == b"failed"
    assert redis.zrange("errand:leases", 0, -1) == [exchange.executions[0].member.encode()]
    assert redis.keys("rq:execution:*") == [f"rq:execution:{exchange.executions[0].member}".encode()]
    assert redis.smembers("rq:worker:one:executions") == {exchange.executions[0].member.encode()}


def test_a_deleted_job_is_passed_over(redis: Redis, queue: Queue, records: Records) -> None:
    deleted, id = enqueue(queue, 2)
    redis.delete(f"rq:job:{deleted}")
    exchange = ask(records, ["e0"])
    assert ([execution.job_id for execution in exchange.executions], exchange.quarantined) == ([id], [])


def test_a_take_whose_reply_was_lost_is_returned_again_and_takes_no_more(queue: Queue, records: Records) -> None:
    first, second, third = enqueue(queue, 3)
    executions = ["e0", "e1"]
    lost = ask(records, executions)
    again = ask(records, executions, asking=Asking.AGAIN)
    assert {execution.id: (execution.job_id, execution.queue, execution.data) for execution in again.executions} == {
        execution.id: (execution.job_id, execution.queue, execution.data) for execution in lost.executions
    }
    assert {execution.job_id for execution in again.executions} == {first, second}
    assert ask(records, ["e2"]).executions[0].job_id == third


@pytest.mark.parametrize(("asking", "taken"), [(Asking.AGAIN, 1), (Asking.WHAT_WAS_TAKEN, 0)])
def test_a_take_that_never_arrived_is_made_up_for_unless_the_worker_stops(
    queue: Queue, records: Records, asking: Asking, taken: int
) -> None:
    enqueue(queue)
    assert len(ask(records, ["e0"], asking=asking).executions) == taken


def test_served_in_turn_one_call_empties_the_only_queue_that_has_jobs(queue: Queue, records: Records) -> None:
    enqueue(queue, 5)
    executions = [f"e{number}" for number in range(5)]
    assert len(ask(records, executions, names=("log", "default", "email"), in_turn=True).executions) == 5


def test_a_suspended_worker_takes_nothing(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue)
    redis.set("rq:suspended", 1)
    assert take(records) == []


def test_holding_renews_leases_and_the_workers_record(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue, timeout=60)
    (execution,) = take(records)
    redis.zadd("errand:leases", {execution.member: time.time() * 1000 + 500})
    assert records.leases.renew() == (True, {execution.member: 60})
    assert redis.zscore("errand:leases", execution.member) > time.time() * 1000 + 9000
    assert redis.ttl("rq:worker:one") in (59, 60)
    assert redis.ttl("rq:worker:one:executions") > 86400


def test_a_lease_that_somebody_took_away_is_not_taken_back(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue, 2)
    first, second = take(records, 2)
    redis.zrem("errand:leases", first.member)
    assert records.leases.renew()[1].keys() == {second.member}
    assert redis.zscore("errand:leases", first.member) is None
    assert redis.smembers("rq:worker:one:executions") == {second.member.encode()}


def test_a_worker_sees_that_its_record_is_gone_and_gets_none_half_made(
    redis: Redis, queue: Queue, records: Records
) -> None:
    enqueue(queue)
    redis.delete("rq:worker:one")
    (execution,) = take(records)
    assert records.leases.renew()[0] is False
    send_report(records, "finished", execution)
    assert not redis.exists("rq:worker:one")


def test_what_is_held_is_found_with_its_queue_and_its_start(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue)
    (execution,) = take(records)
    redis.hset(f"rq:execution:{execution.member}", "created_at", "12.5")
    found = records.leases.find(execution.member, 60)
    assert (found.job_id, found.id, found.queue) == (execution.job_id, "e0", "default")
    assert (found.timeout_seconds, found.started) == (60, 12.5)
