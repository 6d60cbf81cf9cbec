"""How many jobs under one key may be queued or running at once."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Retry
from rq.rate_limit import RateLimit, RateLimitRegistry

from errand.redis import keys
from errand.worker.maintenance.due import DueJobs
from errand.worker.records import Records
from tests.support.services import Services
from tests.support.waiting import wait_until
from tests.worker.scripts import ECHO, build_records, end_leases, read, send_report, take

# Those that are queued or running, or are said to be, as one moment has it.
COUNT = """
local busy = 0
for _, key in ipairs(redis.call('KEYS', 'rq:job:*')) do
  local status = redis.call('TYPE', key).ok == 'hash' and redis.call('HGET', key, 'rate_limit_key') == 'k'
    and redis.call('HGET', key, 'status')
  if status == 'queued' or status == 'started' then busy = busy + 1 end
end
return math.max(busy, redis.call('ZCARD', 'rq:rl:k:allowed'))
"""


def enqueue(queue: Queue, count: int, **options: Any) -> list[str]:
    """Enqueue jobs under a key that lets one run at a time; return their ids."""
    limit = RateLimit("k", 1)
    return [queue.enqueue(ECHO, description="x", rate_limit=limit, **options).id for _ in range(count)]


def list_statuses(redis: Redis, ids: list[str]) -> list[Any]:
    return [read(redis, id, "status")[0] for id in ids]


@pytest.mark.parametrize("kind", ["finished", "failed", "permanent", "stopped"])
def test_an_end_lets_the_next_one_in(redis: Redis, queue: Queue, records: Records, kind: str) -> None:
    ids = enqueue(queue, 2)
    (execution,) = take(records, 4)
    send_report(records, kind, execution)
    assert list_statuses(redis, ids[1:]) == [b"queued"]
    assert redis.zrange("rq:rl:k:allowed", 0, -1) == [ids[1].encode()]


def test_of_many_free_slots_some_are_filled_by_each_end_until_all_are(
    redis: Redis, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "FILLED_AT_ONCE", 2)
    records = build_records(redis)
    ids = enqueue(queue, 7)
    redis.hset("rq:rl:k", "concurrency", 100)
    for queued in (2, 3, 4):
        (execution,) = take(records, 1)
        send_report(records, "finished", execution)
        assert list_statuses(redis, ids).count(b"queued") == queued
    assert list_statuses(redis, ids).count(b"rate_limited") == 0


def test_a_result_that_is_not_kept_lets_the_next_one_in(redis: Redis, queue: Queue, records: Records) -> None:
    ids = enqueue(queue, 2, result_ttl=0)
    (execution,) = take(records, 4)
    assert send_report(records, "finished", execution) == "finished"
    assert list_statuses(redis, ids) == [None, b"queued"]


def test_a_retry_that_waits_gives_its_slot_away_and_asks_for_one_again(
    redis: Redis, queue: Queue, records: Records
) -> None:
    ids = enqueue(queue, 2, retry=Retry(1, 60))
    (execution,) = take(records, 4)
    assert send_report(records, "failed", execution) == "scheduled"
    assert list_statuses(redis, ids) == [b"scheduled", b"queued"]
    redis.zadd("rq:scheduled:default", {ids[0]: 1})
    DueJobs(redis, [queue]).move()
    assert list_statuses(redis, ids) == [b"rate_limited", b"queued"]
    (execution,) = take(records, 4, "f")
    send_report(records, "finished", execution)
    assert list_statuses(redis, ids) == [b"queued", b"finished"]


def test_a_retry_at_once_keeps_its_slot(redis: Redis, queue: Queue, records: Records) -> None:
    ids = enqueue(queue, 2, retry=Retry(1))
    (execution,) = take(records, 4)
    assert send_report(records, "failed", execution) == "queued"
    assert list_statuses(redis, ids) == [b"queued", b"rate_limited"]


def test_a_lost_job_keeps_its_slot_until_it_is_lost_too_often(redis: Redis, queue: Queue, records: Records) -> None:
    ids = enqueue(queue, 2)
    for loss in range(3):
        assert list_statuses(redis, ids[1:]) == [b"rate_limited"]
        assert take(records, 4, f"l{loss}-")
        end_leases(redis)
        records.leases.recover()
    assert list_statuses(redis, ids) == [b"failed", b"queued"]


def test_one_that_rqs_own_tools_canceled_while_it_ran_frees_its_slot_at_its_end(
    redis: Redis, queue: Queue, records: Records
) -> None:
    ids = enqueue(queue, 2)
    (execution,) = take(records, 4)
    job = queue.fetch_job(ids[0])
    assert job
    job.cancel()
    assert list_statuses(redis, ids) == [b"canceled", b"rate_limited"]
    assert send_report(records, "finished", execution) == "canceled"
    assert list_statuses(redis, ids) == [b"canceled", b"queued"]


def test_a_damaged_one_frees_its_slot(redis: Redis, queue: Queue, records: Records) -> None:
    ids = enqueue(queue, 2)
    redis.hdel(f"rq:job:{ids[0]}", "data")
    assert [execution.job_id for execution in take(records, 1)] == ids[1:]
    assert list_statuses(redis, ids) == [b"failed", b"started"]


def test_rqs_cleanup_finds_nothing_to_mend(redis: Redis, queue: Queue, records: Records) -> None:
    ids = enqueue(queue, 3)
    (execution,) = take(records, 4)
    RateLimitRegistry("k", redis).cleanup()
    assert list_statuses(redis, ids) == [b"started", b"rate_limited", b"rate_limited"]
    send_report(records, "finished", execution)
    assert sorted(list_statuses(redis, ids)) == [b"finished", b"queued", b"rate_limited"]


@contextmanager
def watching(redis: Redis) -> Iterator[list[int]]:
    """Note again and again how many are queued or running."""
    counts: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            counts.append(redis.eval(COUNT, 0))
            time.sleep(0.01)

    thread = threading.Thread(target=look)
    thread.start()
    yield counts
    over.set()
    thread.join()


def test_workers_that_are_killed_neither_exceed_the_limit_nor_leak_a_slot(
    services: Services, redis: Redis, tmp_path: Path
) -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    services.start_api()
    workers = [services.start_worker(WORKER_LEASE_SECONDS="2") for _ in range(3)]
    ids: list[str] = []
    with watching(redis) as counts:
        for step in range(60):
            query = "?concurrency_key=k&concurrency=3" + chance.choice(["", "&at_front=true", "&delay_seconds=1"])
            if chance.random() < 0.3:
                ids.append(services.post("fail", {"ledger": str(tmp_path / f"{step}"), "succeed_at": 2}, query))
            else:
                ids.append(services.post("sleep", {"seconds": chance.uniform(0, 0.4)}, query))
            if chance.random() < 0.1:
                services.call("POST", f"/v1/jobs/{chance.choice(ids)}/cancel")
            if step % 15 == 14:
                worker = workers.pop(chance.randrange(len(workers)))
                worker.kill()
                workers.append(services.start_worker(WORKER_LEASE_SECONDS="2"))
            time.sleep(chance.uniform(0, 0.2))
        ends = [services.wait_for(id, timeout_seconds=60)["status"] for id in ids]
    assert max(counts) == 3, seed
    assert set(ends) <= {"finished", "canceled", "stopped", "failed"}, seed
    assert ends.count("finished") > 40, seed
    wait_until(lambda: redis.zcard("rq:rl:k:allowed") == redis.zcard("rq:rl:k:rate_limited") == 0)
