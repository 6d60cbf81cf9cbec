"""The worker's scripts, called directly: a damaged record holds up nobody else, wherever a worker comes upon it."""

import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from rq import Queue

from errand.redis import keys
from errand.worker.allowed_functions import AllowedJob, DamagedJob
from errand.worker.records import Asking, Records
from errand.worker.report import Report
from tests.worker.scripts import ask, build_records, end_leases, enqueue, list_held, read, send_report, take

Damage = Callable[[Redis, str], object]
# Take these marks away as the cases are mended; those with parameters hold for some of them only.


def replace(redis: Redis, key: str) -> None:
    redis.delete(key)
    redis.set(key, "text")


HELD: dict[str, Damage] = {
    "no status": lambda redis, id: redis.hdel(f"rq:job:{id}", "status"),
    "no queue": lambda redis, id: redis.hdel(f"rq:job:{id}", "origin"),
    "a bad number of losses": lambda redis, id: redis.hset(f"rq:job:{id}", "errand_losses", "many"),
    "results that are no stream": lambda redis, id: replace(redis, f"rq:results:{id}"),
    "dependents that are no set": lambda redis, id: replace(redis, f"rq:job:{id}:dependents"),
    "executions that are no set": lambda redis, id: replace(redis, f"rq:executions:{id}"),
    "no hash": lambda redis, id: replace(redis, f"rq:job:{id}"),
}


@pytest.mark.parametrize("damage", HELD)
@pytest.mark.parametrize("step", ["recover", "release"])
def test_hand_backs_go_on_behind_it(redis: Redis, queue: Queue, records: Records, damage: str, step: str) -> None:
    ids = enqueue(queue, 3)
    take(records, 3)
    redis.hset(f"rq:job:{ids[1]}", "errand_losses", 2)  # so that its end is recorded, too
    HELD[damage](redis, ids[1])
    end_leases(redis)
    records.leases.release("lost") if step == "release" else build_records(redis, "two").leases.recover()
    assert read(redis, ids[0], "status") + read(redis, ids[2], "status") == [b"queued", b"queued"]
    assert redis.zcard("errand:leases") == 0
    if redis.type(f"rq:job:{ids[1]}") == b"hash":
        assert read(redis, ids[1], "status") != [b"started"]


@pytest.mark.parametrize("damage", HELD)
def test_an_end_lets_it_go(redis: Redis, queue: Queue, records: Records, damage: str) -> None:
    (id,) = enqueue(queue)
    (execution,) = take(records)
    HELD[damage](redis, id)
    records.exchange([Report("finished", execution, ended=time.time())])
    assert redis.zcard("errand:leases") == 0


def test_its_time_out_is_not_believed(redis: Redis, queue: Queue, records: Records) -> None:
    (id,) = enqueue(queue)
    (execution,) = take(records)
    redis.hset(f"rq:job:{id}", "timeout", "long")
    assert records.leases.renew()[1].keys() == {execution.member}


@pytest.mark.parametrize("losses", ["many", ""])
def test_its_losses_that_are_no_number_do_not_stop_a_take(
    redis: Redis, queue: Queue, records: Records, losses: str
) -> None:
    damaged, id = enqueue(queue, 2)
    redis.hset(f"rq:job:{damaged}", "errand_losses", losses)
    assert id in [execution.job_id for execution in ask(records, ["e0", "e1"]).executions]


def test_an_id_that_is_no_text_does_not_stop_a_take(redis: Redis, queue: Queue, records: Records) -> None:
    (id,) = enqueue(queue)
    stored: dict[Any, Any] = redis.hgetall(f"rq:job:{id}")
    redis.hset(b"rq:job:\xff", mapping=stored)
    redis.lpush("rq:queue:default", b"\xff")
    assert id in [execution.job_id for execution in ask(records, ["e0", "e1"]).executions]


GONE: dict[str, Damage] = {
    "no hash": replace,
    "no data": lambda redis, key: redis.hdel(key, "data"),
    "deleted": lambda redis, key: redis.delete(key),
}


@pytest.mark.parametrize("damage", GONE)
def test_what_was_taken_is_returned_again_without_it(redis: Redis, queue: Queue, records: Records, damage: str) -> None:
    damaged, id = enqueue(queue, 2)
    ask(records, ["e0", "e1"])
    GONE[damage](redis, f"rq:job:{damaged}")
    assert id in [execution.job_id for execution in ask(records, ["e0", "e1"], asking=Asking.AGAIN).executions]


def test_a_payload_that_is_too_large_is_quarantined_with_its_size(redis: Redis, queue: Queue, records: Records) -> None:
    large, id = enqueue(queue, 2)
    redis.hset(f"rq:job:{large}", "data", b"{" * (keys.DATA_BYTES + 1))
    exchange = ask(records, ["e0", "e1"])
    assert [execution.job_id for execution in exchange.executions] == [id]
    ((aside, reason),) = exchange.quarantined
    assert aside == large
    assert reason == "its record can't be read: its payload has 16777217 bytes, more than 16777216"


def test_a_payload_that_unpacks_to_too_much_comes_without_it(redis: Redis, queue: Queue, records: Records) -> None:
    large, id = enqueue(queue, 2)
    redis.hset(f"rq:job:{large}", "data", zlib.compress(b"{" * (keys.DATA_BYTES + 1)))
    first, second = ask(records, ["e0", "e1"]).executions
    assert (first.job_id, first.data, first.damage) == (large, b"", "its payload is larger than 16,777,216 bytes")
    assert (second.job_id, second.damage) == (id, "")
    with pytest.raises(DamagedJob, match=r"^its record can't be read: its payload is larger than"):
        AllowedJob.build(first, redis).perform()


def test_a_failure_that_is_not_kept_is_gone_as_in_rq(redis: Redis, queue: Queue, records: Records) -> None:
    (id,) = enqueue(queue, failure_ttl=0)
    send_report(records, "failed", take(records)[0])
    assert redis.keys(f"rq:job*{id}*") == []
    assert list_held(redis) == []
