"""Many schedules due at once: each occurrence gives its job, however long that takes, and none holds up another."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from errand.redis import keys
from errand.store.enqueue import Enqueuer
from errand.store.schedules.occurrences import LATE_SECONDS
from errand.store.schedules.schedule import Schedule, build_occurrences
from errand.store.schedules.schedules import Schedules, StoredSchedule
from errand.store.settings import QueueSettings
from errand.worker.maintenance import schedules as served
from errand.worker.maintenance.schedules import DueSchedules
from tests.support.connectors import connect
from tests.support.job_types import TYPES

TICK = Schedule("tick", "log", {"text": "tick"}, every_seconds=3600, catch_up="none")
LOOKED = "errand:schedules-looked:log"

Put = Callable[..., int]
Read = Callable[..., StoredSchedule]


@pytest.fixture
def put(redis: Redis, queue_settings: QueueSettings) -> Put:
    """Store schedules with an occurrence that came some seconds ago; return it."""

    def run(*schedules: Schedule, seconds_ago: int = 0) -> int:
        async def main() -> None:
            own = connect(queue_settings.redis_url)
            enqueuer = Enqueuer(own, queue_settings, TYPES)
            for one in schedules:
                await Schedules(own, enqueuer.builder, enqueuer.memory, TYPES).put(one)
            await own.aclose()

        asyncio.run(main())
        occurrence = int(time.time()) - seconds_ago
        redis.zadd(keys.SCHEDULES, {one.name: occurrence for one in schedules})
        return occurrence

    return run


@pytest.fixture
def read(queue_settings: QueueSettings) -> Read:
    """Read a schedule."""

    def run(name: str = "tick") -> StoredSchedule:
        async def main() -> StoredSchedule | None:
            own = connect(queue_settings.redis_url)
            enqueuer = Enqueuer(own, queue_settings, TYPES)
            found = await Schedules(own, enqueuer.builder, enqueuer.memory, TYPES).read(name)
            await own.aclose()
            return found

        found = asyncio.run(main())
        assert found
        return found

    return run


@pytest.fixture
def worker(redis: Redis, queue_settings: QueueSettings) -> DueSchedules:
    """What a worker serves schedules with."""
    return DueSchedules(redis, queue_settings, TYPES)


@pytest.fixture
def one_step_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that does in a round no more than one step."""
    monkeypatch.setattr(served, "ROUND_SECONDS", -1)


def name_many(count: int, **changes: Any) -> list[Schedule]:
    return [replace(TICK, name=f"tick-{number}", **changes) for number in range(count)]


def list_statuses(found: StoredSchedule) -> list[str]:
    return [run.status for run in found.runs]


def let_look(redis: Redis, seconds: int, type: str = "log") -> None:
    """Let workers have served the schedules of a type for so long."""
    redis.set(f"errand:schedules-looked:{type}", int(time.time()) - seconds, ex=LATE_SECONDS)


def test_an_occurrence_that_waits_for_its_turn_while_a_worker_looks_is_not_missed(
    redis: Redis, put: Put, read: Read, worker: DueSchedules
) -> None:
    let_look(redis, 100)
    occurrence = put(TICK, seconds_ago=60)
    worker.run()
    assert list_statuses(read()) == ["queued"]
    assert redis.lrange("rq:queue:log", 0, -1) == [TICK.derive_id(occurrence).encode()]


def test_an_occurrence_for_which_nobody_looked_in_time_is_missed(
    redis: Redis, put: Put, read: Read, worker: DueSchedules
) -> None:
    let_look(redis, 30)  # who looks now came later
    put(TICK, seconds_ago=60)
    worker.run()
    assert list_statuses(read()) == ["missed"]


def test_who_serves_other_types_alone_has_not_looked(
    redis: Redis, put: Put, read: Read, worker: DueSchedules, queue_settings: QueueSettings
) -> None:
    put(TICK, seconds_ago=60)
    DueSchedules(redis, queue_settings, {"email": TYPES["email"]}).run()
    assert redis.exists("errand:schedules-looked:email")
    worker.run()
    assert list_statuses(read()) == ["missed"]


def test_a_look_lasts_as_long_as_an_occurrence_may_be_late(redis: Redis, put: Put, worker: DueSchedules) -> None:
    worker.run()
    assert not redis.exists(LOOKED)  # nothing is due, so there is nothing to miss
    put(TICK)
    worker.run()
    since = redis.get(LOOKED)
    assert LATE_SECONDS - 2 <= redis.ttl(LOOKED) <= LATE_SECONDS
    redis.expire(LOOKED, 3)
    put(TICK)
    worker.run()
    assert redis.ttl(LOOKED) > 3
    assert redis.get(LOOKED) == since


@pytest.mark.parametrize("harm", ["hash", "text"])
def test_a_look_that_can_not_be_read_begins_anew(
    redis: Redis, put: Put, read: Read, worker: DueSchedules, harm: str
) -> None:
    if harm == "hash":
        redis.hset(LOOKED, "not", "ours")
    else:
        redis.set(LOOKED, "not ours")
    put(TICK)
    worker.run()
    assert list_statuses(read()) == ["queued"]
    assert int(redis.get(LOOKED) or 0) > time.time() - 60


@pytest.mark.valkey
def test_a_worker_that_finds_redis_full_has_not_looked(redis: Redis, put: Put, worker: DueSchedules) -> None:
    worker.run()
    put(TICK)
    redis.config_set("maxmemory", 1_000_000)
    try:
        assert not worker.run()
    finally:
        redis.config_set("maxmemory", 0)
    assert not redis.exists(LOOKED)


@pytest.mark.usefixtures("one_step_a_round")
def test_it_says_that_more_is_due_until_each_has_its_job(redis: Redis, put: Put, worker: DueSchedules) -> None:
    many = name_many(60)
    occurrence = put(*many)
    answers = [worker.run() for _ in range(4)]
    assert answers == [True, True, True, False]
    assert set(redis.lrange("rq:queue:log", 0, -1)) == {one.derive_id(occurrence).encode() for one in many}


@pytest.mark.usefixtures("one_step_a_round")
def test_many_that_no_worker_here_can_serve_hold_up_nobody_in_the_rounds_to_come(
    redis: Redis, put: Put, worker: DueSchedules
) -> None:
    put(*name_many(60, type="gone"), seconds_ago=10)
    put(TICK)
    assert not any(worker.run() for _ in range(2))
    worker.run()
    assert redis.llen("rq:queue:log") == 1


@pytest.mark.valkey
def test_workers_side_by_side_give_each_of_many_one_job(redis: Redis, put: Put, queue_settings: QueueSettings) -> None:
    many = name_many(200)
    occurrence = put(*many)

    def serve() -> None:
        with Redis.from_url(queue_settings.redis_url) as own:
            one = DueSchedules(own, queue_settings, TYPES)
            while redis.zcount(keys.SCHEDULES, occurrence, occurrence):
                one.run()

    workers = [threading.Thread(target=serve) for _ in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert sorted(redis.lrange("rq:queue:log", 0, -1)) == sorted(one.derive_id(occurrence).encode() for one in many)
    assert {redis.llen(f"{keys.SCHEDULE}{one.name}{keys.RUNS}") for one in many} == {1}


def test_who_comes_second_goes_on_elsewhere(
    redis: Redis, put: Put, worker: DueSchedules, queue_settings: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = name_many(100)
    occurrence = put(*many)
    other, build = DueSchedules(redis, queue_settings, TYPES), build_occurrences
    monkeypatch.setattr(served, "ROUND_SECONDS", -1)

    def be_late(*given: Any) -> Any:
        monkeypatch.setattr(served, "build_occurrences", build)
        other.run()  # the same 25
        return build(*given)

    monkeypatch.setattr(served, "build_occurrences", be_late)
    monkeypatch.setattr("random.randrange", lambda first, last: 50)
    in_order = sorted(one.name for one in many)
    assert worker.run()
    assert redis.zrange(keys.SCHEDULES, occurrence, occurrence, byscore=True) == [
        name.encode() for name in in_order[25:]
    ]
    assert worker.run()
    assert redis.zrange(keys.SCHEDULES, occurrence, occurrence, byscore=True) == [
        name.encode() for name in in_order[25:75]
    ]
    while redis.zcount(keys.SCHEDULES, occurrence, occurrence):
        worker.run()
    assert sorted(redis.lrange("rq:queue:log", 0, -1)) == sorted(one.derive_id(occurrence).encode() for one in many)


def test_a_queue_that_takes_nothing_holds_up_its_own_schedules_alone(
    redis: Redis, put: Put, worker: DueSchedules, caplog: pytest.LogCaptureFixture
) -> None:
    message = {"to": ["ada@example.com"], "subject": "Hello", "text": "It works."}
    mails = [replace(one, type="email", payload={"message": message}) for one in name_many(3)]
    redis.set("rq:queue:email", "not a list")
    occurrence = put(*mails, TICK)
    for _ in range(2):
        worker.run()
    assert redis.llen("rq:queue:log") == 1
    assert redis.zcount(keys.SCHEDULES, occurrence, occurrence) == 3
    assert len(caplog.messages) == 3
    assert caplog.messages[0].startswith("Schedule tick-0 waits because its job can't be stored: WRONGTYPE")
    assert not redis.exists(*(f"{keys.SCHEDULE}{one.name}{keys.RUNS}" for one in mails))
    redis.delete("rq:queue:email")
    worker.run()
    assert sorted(redis.lrange("rq:queue:email", 0, -1)) == sorted(one.derive_id(occurrence).encode() for one in mails)


@pytest.mark.parametrize("part", ["runs", "record"])
def test_one_whose_own_keys_are_damaged_stops_and_the_others_of_its_step_go_on(
    redis: Redis, put: Put, worker: DueSchedules, part: str
) -> None:
    many = name_many(3)
    occurrence = put(*many)
    key = f"{keys.SCHEDULE}tick-1{keys.RUNS}" if part == "runs" else keys.BATCH + many[1].batch
    redis.delete(key)
    redis.set(key, "not ours")
    worker.run()
    assert redis.zscore(keys.SCHEDULES, "tick-1") == float("inf")
    assert sorted(redis.lrange("rq:queue:log", 0, -1)) == sorted(many[n].derive_id(occurrence).encode() for n in (0, 2))
    assert not redis.exists(keys.JOB + many[1].derive_id(occurrence))
    assert redis.get(key) == b"not ours"
    if part == "runs":
        assert not redis.hexists(keys.BATCH + many[1].batch, many[1].derive_id(occurrence))


def test_one_whose_last_job_has_just_gone_is_served_by_the_next_look(
    redis: Redis,
    put: Put,
    read: Read,
    worker: DueSchedules,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = put(TICK)
    worker.run()
    put(TICK, replace(TICK, name="other"))
    build = build_occurrences

    def let_go(*given: Any) -> Any:
        redis.delete(keys.JOB + TICK.derive_id(first))
        return build(*given)

    monkeypatch.setattr(served, "build_occurrences", let_go)
    redis.zadd(keys.SCHEDULES, {"tick": first - 1})  # another occurrence than that of the first job
    worker.run()
    assert redis.zscore(keys.SCHEDULES, "tick") == first - 1
    assert redis.llen("rq:queue:log") == 2  # the first and that of the other
    worker.run()
    assert list_statuses(read())[0] == "queued"
    assert not caplog.messages


def test_a_step_with_missed_and_skipped_occurrences_alone_stores_no_job(
    redis: Redis, put: Put, read: Read, worker: DueSchedules
) -> None:
    put(TICK, seconds_ago=60)
    worker.run()
    assert list_statuses(read()) == ["missed"]
    assert (redis.zscore(keys.SCHEDULES, "tick") or 0) > time.time()
    assert not redis.keys("rq:*")
