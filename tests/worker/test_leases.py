"""The worker's scripts, called directly: jobs that lose their process, or their worker."""

import json
import time

import pytest
from redis import Redis
from rq import Queue, Retry
from rq.job import Job
from rq.registry import FailedJobRegistry

from errand.worker.records import Records
from tests.worker.scripts import build_records, end_leases, enqueue, list_held, read, take


def test_what_is_handed_back_comes_to_the_front_in_the_order_taken(
    redis: Redis, queue: Queue, records: Records
) -> None:
    ids = enqueue(queue, 5)
    take(records, 3)
    assert [fate for _, fate in records.leases.release("interrupted")] == ["queued"] * 3
    assert [id.decode() for id in redis.lrange("rq:queue:default", 0, -1)] == ids
    assert read(redis, ids[0], "errand_interruptions", "errand_losses") == [b"1", None]
    assert list_held(redis) == []


def test_only_the_executions_meant_are_handed_back(redis: Redis, queue: Queue, records: Records) -> None:
    mine, spared, other = enqueue(queue, 3)
    first, second = take(records, 2, "a")
    take(records, 1, "b")
    assert records.leases.release("lost", "a", [second.member]) == [(first.member, "queued")]
    assert read(redis, mine, "status", "errand_losses", "errand_interruptions") == [b"queued", b"1", None]
    assert read(redis, spared, "status") + read(redis, other, "status") == [b"started", b"started"]


def test_another_workers_jobs_are_not_handed_back(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue)
    take(records)
    assert build_records(redis, "two").leases.release("interrupted") == []


def test_what_another_worker_has_recovered_is_not_handed_back_again(
    redis: Redis, queue: Queue, records: Records
) -> None:
    (id,) = enqueue(queue)
    (execution,) = take(records)
    redis.zrem("errand:leases", execution.member)
    assert records.leases.release("lost") == [(execution.member, "late")]
    assert read(redis, id, "status", "errand_losses") == [b"started", None]
    assert redis.llen("rq:queue:default") == 0


def test_a_job_lost_three_times_fails_with_that_reason(redis: Redis, queue: Queue, records: Records) -> None:
    (id,) = enqueue(queue, retry=Retry(3))
    redis.hset(f"rq:job:{id}", "errand_batch", "b")
    redis.hset("errand:batch:b", id, "queued")
    fates = []
    for number in range(3):
        (execution,) = take(records, 1, f"e{number}")
        assert execution.losses == number
        fates += [fate for _, fate in records.leases.release("lost")]
    assert fates == ["queued", "queued", "failed"]
    assert json.loads(redis.hget(f"rq:job:{id}", "errand_error"))["type"] == "Lost"
    assert read(redis, id, "status", "retries_left", "errand_losses") == [b"failed", b"3", b"3"]
    assert Job.fetch(id, redis, "json").ended_at is not None
    assert redis.xlen(f"rq:results:{id}") == 1
    assert redis.hget("errand:batch:b", id) == b"failed"
    assert id in FailedJobRegistry("default", redis)
    assert list_held(redis) == []


def test_a_hand_back_wakes_the_idle(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue)
    take(records)
    with redis.pubsub() as listener:
        listener.subscribe("errand:work")
        listener.get_message(timeout=1)
        records.leases.release("interrupted")
        assert listener.get_message(timeout=1)["data"] == b"default"


def test_leases_that_have_not_ended_are_not_recovered(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue, 2)
    dead, alive = take(records, 2)
    redis.zadd("errand:leases", {dead.member: time.time() * 1000 - 100})
    redis.zadd("errand:leases", {alive.member: time.time() * 1000 + 2000})
    assert build_records(redis, "two").leases.recover() == [(dead.member, "queued")]
    assert build_records(redis, "two").leases.recover() == []


def test_a_recovered_job_is_in_no_record_of_its_dead_worker(redis: Redis, queue: Queue, records: Records) -> None:
    (id,) = enqueue(queue)
    take(records)
    end_leases(redis)
    build_records(redis, "two").leases.recover()
    assert list_held(redis) == []
    assert read(redis, id, "status", "errand_losses", "errand_interruptions") == [b"queued", b"1", None]
    assert redis.sismember("rq:queues", "rq:queue:default")


@pytest.mark.parametrize("status", ["canceled", "finished"])
def test_a_job_that_has_another_status_is_let_go_but_not_queued(
    redis: Redis, queue: Queue, records: Records, status: str
) -> None:
    (id,) = enqueue(queue)
    (execution,) = take(records)
    redis.hset(f"rq:job:{id}", "status", status)
    end_leases(redis)
    assert build_records(redis, "two").leases.recover() == [(execution.member, status)]
    assert redis.llen("rq:queue:default") == 0
    assert list_held(redis) == []


def test_what_a_worker_of_the_version_before_started_is_recovered_the_same(
    redis: Redis, queue: Queue, records: Records
) -> None:
    (id,) = enqueue(queue)
    (execution,) = take(records)
    # Its registries had an end, an hour after the job's time-out.
    redis.zadd("rq:wip:default", {execution.member: time.time() + 3660})
    redis.zadd(f"rq:executions:{id}", {"e0": time.time() + 3720})
    redis.expire(f"rq:execution:{execution.member}", 3660)
    redis.expire(f"rq:executions:{id}", 3720)
    assert build_records(redis, "two").leases.recover() == []
    end_leases(redis)
    assert build_records(redis, "two").leases.recover() == [(execution.member, "queued")]
    assert list_held(redis) == []


def test_a_deleted_job_leaves_no_member_in_rqs_registry(redis: Redis, queue: Queue, records: Records) -> None:
    (id,) = enqueue(queue)
    (execution,) = take(records)
    redis.delete(f"rq:job:{id}")
    end_leases(redis)
    assert build_records(redis, "two").leases.recover() == [(execution.member, "deleted")]
    assert list_held(redis) == []


def test_what_has_lost_its_lease_otherwise_is_found_and_recovered(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue, 2)
    lost, held = take(records, 2)
    redis.zrem("errand:leases", lost.member)
    assert records.leases.renew()[1].keys() == {held.member}
    two = build_records(redis, "two")
    assert two.leases.recover() == []
    two.settle_orphans("default", 0, 10)
    assert two.leases.recover() == [(lost.member, "queued")]
    assert redis.zrange("rq:wip:default", 0, -1) == [held.member.encode()]


def test_an_execution_of_somebody_elses_without_an_end_is_left_to_its_worker(redis: Redis, records: Records) -> None:
    redis.sadd("rq:queues", "rq:queue:default")
    redis.zadd("rq:wip:default", {"job:execution": "+inf"})
    redis.hset("rq:execution:job:execution", "worker_name", "theirs")
    redis.hset("rq:worker:theirs", "state", "busy")
    redis.sadd("rq:worker:theirs:executions", "job:execution")
    records.settle_orphans("default", 0, 10)
    assert not redis.exists("errand:leases")
    redis.delete("rq:worker:theirs")
    records.settle_orphans("default", 0, 10)
    assert records.leases.recover() == [("job:execution", "deleted")]
