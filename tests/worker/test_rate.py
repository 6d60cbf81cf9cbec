"""A type's rate: how many of its jobs may start in a second, over all workers."""

import random
import time
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from redis import Redis
from rq import Queue

from errand.worker.records import Exchange, Records
from errand.worker.served import ServedQueues
from tests.support.services import Services
from tests.support.waiting import wait_until
from tests.worker.scripts import build_records, send_report, take

MOST, PERIOD_US = 14, 200_000
RATES = ("x", MOST, PERIOD_US)
PARKED = "errand:rated:default:x"
numbers = iter(range(10**9))


def enqueue(redis: Redis, count: int, type: str = "x", queue: str = "default", **options: Any) -> list[str]:
    """Enqueue jobs of a type as RQ does; return their ids."""
    target = Queue(queue, connection=redis, serializer="json")
    return [target.enqueue_call("jobs.echo.run.perform", description=type, **options).id for _ in range(count)]


def exchange(records: Records, want: int = 4, names: tuple[str, ...] = ("default",), rates: Any = RATES) -> Exchange:
    executions = [f"e{next(numbers)}" for _ in range(want)]
    return records.exchange([], executions, ServedQueues(list(names), in_turn=False, rates=rates))


def take_all(
    redis: Redis, records: list[Records], count: int, pause_seconds: float, rates: Any = RATES
) -> tuple[list[str], list[int]]:
    """Take so many jobs by turns of any worker at any time; return their ids and when they started, in microseconds."""
    ids: list[str] = []
    starts: list[int] = []
    deadline = time.monotonic() + 20
    while len(ids) < count:
        assert time.monotonic() < deadline, f"{len(ids)} of {count}"
        executions = exchange(random.choice(records), random.randint(1, 8), rates=rates).executions
        ids += [execution.job_id for execution in executions]
        starts += (
            [int(start) for start in redis.lrange("errand:starts:x", 0, len(executions) - 1)] if executions else []
        )
        time.sleep(random.uniform(0, pause_seconds))
    return ids, starts


@pytest.mark.parametrize("pause_seconds", [0.0, 0.005, 0.05])
def test_no_window_has_more_starts_than_allowed_and_the_order_is_kept(redis: Redis, pause_seconds: float) -> None:
    ids = enqueue(redis, 5 * MOST)
    taken, starts = take_all(redis, [build_records(redis, name) for name in "abc"], len(ids), pause_seconds)
    assert taken == ids
    assert all(later - earlier >= PERIOD_US for earlier, later in zip(starts, starts[MOST:], strict=False))


def test_starts_are_even_and_close_to_the_full_rate(redis: Redis) -> None:
    enqueue(redis, 3 * MOST)
    ids, starts = take_all(redis, [build_records(redis)], 3 * MOST, 0.002, rates=("x", MOST, 1_000_000))
    assert (starts[-1] - starts[0]) / 1e6 < (len(ids) - 1) / MOST / 0.9
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert max(gaps) < 4_000_000 / MOST


def test_a_clock_that_was_set_back_stops_nothing(redis: Redis, records: Records) -> None:
    enqueue(redis, 3)
    future_us = (time.time() + 3600) * 1e6
    redis.hset("errand:rates", "x", f"{future_us:.0f}")
    redis.lpush("errand:starts:x", *[f"{future_us:.0f}"] * MOST)
    assert exchange(records, 1).executions


def test_other_types_of_the_queue_do_not_wait(redis: Redis, records: Records) -> None:
    enqueue(redis, 1200)
    (other,) = enqueue(redis, 1, "other")
    seen: list[Exchange] = []
    while not any(execution.job_id == other for one in seen for execution in one.executions):
        seen.append(exchange(records, 16))
        assert len(seen) < 10
    assert all(one.wait_seconds == 0 for one in seen[:-1] if len(one.executions) < 16)
    assert redis.zcard(PARKED) > 1000


def test_an_exchange_returns_when_the_next_one_may_start(redis: Redis, records: Records) -> None:
    enqueue(redis, 20)
    while (found := exchange(records, 16)).executions:
        pass
    assert found.wait_seconds is not None
    assert 0 < found.wait_seconds <= PERIOD_US / 1e6
    time.sleep(found.wait_seconds + 0.001)
    assert exchange(records, 16).executions
    assert exchange(records, 16, ("log",)).wait_seconds is None


def test_a_parked_job_is_queued_and_none_is_left_behind(redis: Redis, records: Records) -> None:
    ids = enqueue(redis, 3 * MOST)
    exchange(records, 3 * MOST)
    assert redis.hget(f"rq:job:{ids[-1]}", "status") == b"queued"
    take_all(redis, [records], 3 * MOST - len(redis.smembers("rq:worker:one:executions")), 0.005)
    wait_until(lambda: exchange(records).wait_seconds is None)
    assert not redis.exists("errand:rated", PARKED)


def test_without_its_rate_a_parked_type_starts_at_once(redis: Redis, records: Records) -> None:
    enqueue(redis, 3 * MOST)
    exchange(records, 3 * MOST)
    left = redis.zcard(PARKED)
    assert left > MOST
    assert len(exchange(records, 3 * MOST, rates=()).executions) == left


def test_a_canceled_one_gives_its_start_to_the_next(redis: Redis, records: Records) -> None:
    ids = enqueue(redis, 2 * MOST)
    first = [execution.job_id for execution in exchange(records, 2 * MOST).executions]
    for id in ids[len(first) : -1]:
        redis.hset(f"rq:job:{id}", "status", "canceled")  # by RQ's own cancel, which does not see where it is parked
    assert wait_until(lambda: exchange(records).executions)[0].job_id == ids[-1]


def test_those_that_asked_for_the_front_come_first_in_their_order(redis: Redis, records: Records) -> None:
    ids = enqueue(redis, 2 * MOST)
    taken = [execution.job_id for execution in exchange(records, 2 * MOST).executions]
    front = enqueue(redis, 3)
    for id in front:
        redis.hset(f"rq:job:{id}", "enqueue_at_front", 1)
    again, _ = take_all(redis, [records], 2 * MOST + 3 - len(taken), 0.002)
    assert [id for id in again if id in front] == front
    assert [id for id in again if id not in front] == ids[len(taken) :]
    assert again.index(front[-1]) < MOST


def test_one_that_is_handed_back_is_among_the_first_again(redis: Redis, records: Records) -> None:
    enqueue(redis, 3 * MOST)
    execution = exchange(records, 3 * MOST).executions[0]
    send_report(records, "interrupted", execution)
    taken, _ = take_all(redis, [records], MOST, 0.002)
    assert execution.job_id in taken


def test_a_type_without_a_rate_costs_no_command_more(redis: Redis, records: Records) -> None:
    def count(rates: Any) -> int:
        enqueue(redis, 4, "other")
        before = redis.info("commandstats")
        exchange(records, 4, rates=rates)
        after = redis.info("commandstats")
        return sum(after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after)

    take(records)
    count(())
    assert count(()) == count(RATES)


def test_real_workers_keep_a_rate_together(services: Services, redis: Redis) -> None:
    services.start_api()
    workers = [services.start_worker() for _ in range(3)]
    wait_until(lambda: redis.scard("rq:workers") == 3)
    batch = services.call("POST", "/v1/batches/rated", {"items": [{"number": n} for n in range(70)]}).body
    last = batch["jobs"][-1]["id"]
    wait_until(lambda: redis.zcard("errand:rated:default:rated") > 30)
    echo = services.post("echo", {"value": 1})
    assert services.wait_for(echo, timeout_seconds=2)["status"] == "finished"
    assert services.read(last)["status"] == "queued"
    assert services.call("GET", "/v1/queues/default").body["jobs"]["queued"] > 20
    services.wait_for(last)
    found = [services.read(job["id"]) for job in batch["jobs"]]
    starts = sorted(datetime.fromisoformat(job["started_at"]).timestamp() for job in found)
    assert all(later - earlier > 0.97 for earlier, later in zip(starts, starts[14:], strict=False))  # by worker's clock
    assert starts[-1] - starts[0] < 69 / 14 / 0.9
    assert {job["status"] for job in found} == {"finished"}
    assert all(worker.poll() is None for worker in workers)


def test_parked_jobs_outlive_their_worker(services: Services, redis: Redis) -> None:
    services.start_api()
    for _ in range(3):
        worker = services.start_worker(WORKER_LEASE_SECONDS="2")
        wait_until(lambda: redis.scard("rq:workers") > 0)
        services.call("POST", "/v1/batches/rated", {"items": [{"number": number} for number in range(20)]})
        wait_until(lambda: redis.zcard("errand:rated:default:rated") > 3)
        worker.kill()
        redis.delete("rq:workers")
    services.start_worker(WORKER_LEASE_SECONDS="2")
    wait_until(lambda: redis.zcard("rq:finished:default") == 60, 30)


def test_a_burst_waits_for_them(services: Services, redis: Redis) -> None:
    services.start_api()
    services.call("POST", "/v1/batches/rated", {"items": [{"number": number} for number in range(20)]})
    assert services.start_worker("--burst").wait(30) == 0
    assert redis.zcard("rq:finished:default") == 20


def test_a_waiting_worker_does_not_spin(services: Services, redis: Redis) -> None:
    services.start_api()
    services.start_worker()
    for _ in range(60):
        services.post("rated")
    wait_until(lambda: redis.zcard("errand:rated:default:rated") > 20)
    before = redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    time.sleep(1)
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] - before < 60  # some 14 starts, their ends, the beats
