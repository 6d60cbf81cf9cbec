"""Schedules in Redis, and how occurrences become jobs, without worker processes."""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from errand import Job
from errand import job as declare
from errand.redis.lua.loader import read_script
from errand.store.enqueue import Enqueuer
from errand.store.fields import CallBuilder
from errand.store.schedules.schedule import (
    RUNS_KEPT,
    Schedule,
    ServedOccurrence,
    build_occurrences,
    build_run,
    note_run,
)
from errand.store.schedules.schedules import OwnedByFileError, Schedules, StillBusyError, StoredSchedule
from errand.store.settings import QueueSettings
from errand.worker.maintenance.schedules import DueSchedules
from tests.support.connectors import connect
from tests.support.job_types import TYPES

TICK = Schedule("tick", "log", {"text": "tick"}, every_seconds=3600)

Use = Callable[..., Any]


@pytest.fixture
def use(queue_settings: QueueSettings) -> Use:
    """Call Schedules inside an event loop of their own."""

    def run(call: Callable[[Schedules], Awaitable[Any]], url: str = queue_settings.redis_url) -> Any:
        async def main() -> Any:
            redis = connect(url)
            try:
                enqueuer = Enqueuer(redis, queue_settings, TYPES)
                return await call(Schedules(redis, enqueuer.builder, enqueuer.memory, TYPES))
            finally:
                await redis.aclose()

        return asyncio.run(main())

    return run


@pytest.fixture
def worker(redis: Redis, queue_settings: QueueSettings) -> DueSchedules:
    """What a worker serves schedules with."""
    return DueSchedules(redis, queue_settings, TYPES)


def put(use: Use, schedule: Schedule = TICK) -> bool:
    return bool(use(lambda schedules: schedules.put(schedule)))


def read(use: Use, name: str = "tick") -> StoredSchedule:
    found = use(lambda schedules: schedules.read(name))
    assert found
    return found


def make_due(redis: Redis, seconds_ago: float = 0, name: str = "tick", seconds: int = 3600) -> int:
    """Let the occurrence be due that came some time ago at least; return it."""
    occurrence = int(time.time() - seconds_ago) // seconds * seconds
    redis.zadd("errand:schedules", {name: occurrence})
    return occurrence


def list_statuses(found: StoredSchedule) -> list[str]:
    return [run.status for run in found.runs]


def test_a_due_occurrence_gives_one_job_under_its_own_id(redis: Redis, use: Use, worker: DueSchedules) -> None:
    put(use)
    occurrence = make_due(redis)
    worker.run()
    worker.run()
    (id,) = redis.lrange("rq:queue:log", 0, -1)
    assert id.decode() == TICK.derive_id(occurrence)
    assert redis.zscore("errand:schedules", "tick") == occurrence + 3600
    (run,) = read(use).runs
    assert (run.job_id, run.status, run.detail) == (id.decode(), "queued", None)


def test_its_job_has_the_fields_of_one_that_was_posted(redis: Redis, use: Use, worker: DueSchedules) -> None:
    put(use)
    make_due(redis)
    worker.run()
    (id,) = redis.lrange("rq:queue:log", 0, -1)
    job = redis.hgetall(b"rq:job:" + id)
    stored = use(lambda schedules: schedules.run("tick"))
    assert job.keys() == redis.hgetall(f"rq:job:{stored[0].id}").keys()
    assert (job[b"description"], json.loads(job[b"errand_tags"])) == (b"log", ["schedule:tick"])
    assert redis.zscore("errand:tag:schedule:tick", id)


def test_the_id_is_the_occurrences_whatever_the_schedule_says(redis: Redis) -> None:
    other = replace(TICK, payload={"text": "other"}, every_seconds=None, cron="@hourly")
    assert TICK.derive_id(7200) == other.derive_id(7200) != TICK.derive_id(3600)
    assert TICK.derive_id(7200) != replace(TICK, name="tock").derive_id(7200)


@pytest.mark.valkey
def test_twenty_workers_at_once_give_each_occurrence_one_job(
    redis: Redis, use: Use, queue_settings: QueueSettings
) -> None:
    put(use, replace(TICK, every_seconds=1, catch_up="all"))
    first = make_due(redis, 30, seconds=1)

    def serve() -> None:
        with Redis.from_url(queue_settings.redis_url) as own:
            DueSchedules(own, queue_settings, TYPES).run()

    workers = [threading.Thread(target=serve) for _ in range(20)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    DueSchedules(redis, queue_settings, TYPES).run()
    until = int(redis.zscore("errand:schedules", "tick") or 0)
    ids = {TICK.derive_id(occurrence).encode() for occurrence in range(first, until)}
    assert until > first + 29
    queued, deferred = redis.lrange("rq:queue:log", 0, -1), redis.zrange("rq:deferred:log", 0, -1)
    assert sorted([*queued, *deferred]) == sorted(ids)


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_step_that_is_sent_twice_is_done_once(
    redis: Redis, use: Use, queue_settings: QueueSettings, by_hand: bool
) -> None:
    put(use)
    occurrence = make_due(redis)
    job = TICK.build_job(TYPES["log"], None if by_hand else occurrence)
    run, token, builder = note_run(0, "", occurrence, job.id), read(use).token, CallBuilder(queue_settings, TYPES)
    if by_hand:
        names, args = build_run(builder, TICK, token, job, run)
    else:
        names, args = build_occurrences(
            builder, [ServedOccurrence(TICK, token, occurrence, occurrence + 3600, [run], job)]
        )
    script = redis.register_script(read_script("schedules/run_by_hand" if by_hand else "schedules/store_due"))
    assert script(keys=names, args=args) == (b"queued" if by_hand else [b"served"])
    assert script(keys=names, args=args) == (b"queued" if by_hand else [b"passed"])
    assert (redis.llen("rq:queue:log"), list_statuses(read(use))) == (1, ["queued"])


def test_a_run_by_hand_of_a_schedule_deleted_meanwhile_stores_nothing(
    redis: Redis, use: Use, queue_settings: QueueSettings
) -> None:
    put(use)
    job, token = TICK.build_job(TYPES["log"]), read(use).token
    keys, args = build_run(CallBuilder(queue_settings, TYPES), TICK, token, job, note_run(0, "", None, job.id))
    use(lambda schedules: schedules.delete("tick"))
    assert redis.register_script(read_script("schedules/run_by_hand"))(keys=keys, args=args) is None
    assert redis.keys("rq:*") == []


def test_a_worker_that_read_an_older_definition_does_nothing(
    redis: Redis, use: Use, worker: DueSchedules, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(use)
    make_due(redis)
    decide = worker._decide

    def decide_late(*given: Any) -> Any:
        put(use, replace(TICK, payload={"text": "new"}))
        return decide(*given)

    monkeypatch.setattr(worker, "_decide", decide_late)
    worker.run()
    assert (redis.llen("rq:queue:log"), read(use).runs) == (0, [])


def test_the_same_put_again_keeps_an_occurrence_that_is_due(redis: Redis, use: Use) -> None:
    assert put(use)
    occurrence = make_due(redis)
    assert not put(use)
    assert redis.zscore("errand:schedules", "tick") == occurrence


def test_another_definition_begins_with_its_first_occurrence_from_now(redis: Redis, use: Use) -> None:
    put(use)
    make_due(redis)
    assert not put(use, replace(TICK, every_seconds=60))
    assert time.time() < (redis.zscore("errand:schedules", "tick") or 0) <= time.time() + 60


@pytest.mark.parametrize(
    ("catch_up", "statuses", "jobs"),
    [("none", ["missed"], 0), ("last", ["queued", "missed"], 1), ("all", ["deferred", "deferred", "queued"], 3)],
)
def test_missed_occurrences_are_caught_up_as_asked(
    redis: Redis, use: Use, worker: DueSchedules, catch_up: Any, statuses: list[str], jobs: int
) -> None:
    every = next(days for days in (259_200, 259_207) if time.time() % days > 60)  # no occurrence is on time
    put(use, replace(TICK, every_seconds=every, catch_up=catch_up))
    occurrence = make_due(redis, seconds=every) - 2 * every
    redis.zadd("errand:schedules", {"tick": occurrence})
    worker.run()
    assert list_statuses(read(use)) == statuses
    assert redis.llen("rq:queue:log") + redis.zcard("rq:deferred:log") == jobs
    assert redis.zscore("errand:schedules", "tick") == occurrence + 3 * every


def test_a_missed_run_says_until_when(redis: Redis, use: Use, worker: DueSchedules) -> None:
    put(use, replace(TICK, every_seconds=60, catch_up="none"))
    make_due(redis, 600, seconds=60)
    worker.run()
    missed = read(use).runs[-1]
    assert (missed.status, missed.job_id) == ("missed", None)
    assert missed.detail
    assert missed.detail.startswith("no worker was there in time, nor for those until ")


def test_skip_gives_no_job_while_the_last_one_has_not_ended(redis: Redis, use: Use, worker: DueSchedules) -> None:
    put(use, replace(TICK, overlap="skip"))
    make_due(redis)
    worker.run()
    (id,) = redis.lrange("rq:queue:log", 0, -1)
    # As an hour later
    occurrence = make_due(redis)
    redis.zadd("errand:schedules", {"tick": occurrence})
    worker.run()
    assert list_statuses(read(use)) == ["skipped", "queued"]
    assert id.decode() in str(read(use).runs[0].detail)
    redis.hset(b"rq:job:" + id, "status", "finished")
    redis.zadd("errand:schedules", {"tick": occurrence})
    worker.run()
    assert len(read(use).runs) == 3
    assert read(use).runs[0].job_id


def test_queue_lets_the_next_job_wait_for_the_end_of_the_last_one(redis: Redis, use: Use, worker: DueSchedules) -> None:
    put(use, replace(TICK, every_seconds=1))
    make_due(redis, 2, seconds=1)
    worker.run()
    first, *others = read(use).runs[::-1]
    assert len(others) >= 2
    assert (first.status, {run.status for run in others}) == ("queued", {"deferred"})
    assert json.loads(redis.hget(f"rq:job:{others[0].job_id}", "dependency_ids") or "") == [first.job_id]


def test_a_last_job_that_is_gone_holds_nobody_up(redis: Redis, use: Use, worker: DueSchedules) -> None:
    put(use, replace(TICK, overlap="queue"))
    redis.hset("errand:schedule:tick", "last_job", "5f0c7d1e-0000-4000-8000-000000000000")
    make_due(redis)
    worker.run()
    assert list_statuses(read(use)) == ["queued"]


def test_the_runs_are_the_last_fifty_with_how_their_jobs_ended(redis: Redis, use: Use, worker: DueSchedules) -> None:
    put(use, replace(TICK, every_seconds=1, catch_up="all"))
    make_due(redis, RUNS_KEPT + 10, seconds=1)
    for _ in range(20):
        worker.run()
    found = read(use)
    assert len(found.runs) == RUNS_KEPT
    assert len({run.job_id for run in found.runs}) == RUNS_KEPT
    record = redis.hgetall(f"errand:batch:{TICK.batch}")
    assert record.keys() - {run.job_id.encode() for run in found.runs} == {b"type", b"created_at", b"webhook"}
    oldest, next_one = found.runs[-1].job_id, found.runs[-2].job_id
    redis.hset(f"errand:batch:{TICK.batch}", str(oldest), "failed")  # as who ends a job notes it
    redis.delete(f"rq:job:{oldest}", f"rq:job:{next_one}")
    assert list_statuses(read(use))[-2:] == ["deleted", "failed"]


def test_a_paused_schedule_rests_and_resumes_with_the_next_occurrence(
    redis: Redis, use: Use, worker: DueSchedules
) -> None:
    put(use)
    make_due(redis)
    use(lambda schedules: schedules.pause("tick"))
    worker.run()
    found = read(use)
    assert (found.paused, found.next_runs, found.runs) == (True, [], [])
    assert not put(use, replace(TICK, payload={"text": "other"}))
    assert (read(use).paused, read(use).next_runs) == (True, [])
    use(lambda schedules: schedules.resume("tick"))
    assert time.time() < (redis.zscore("errand:schedules", "tick") or 0) <= time.time() + 3600
    assert len(read(use).next_runs) == 5


def test_resume_leaves_one_that_is_not_paused_as_it_is(redis: Redis, use: Use) -> None:
    put(use)
    occurrence = make_due(redis)
    assert use(lambda schedules: schedules.resume("tick"))
    assert redis.zscore("errand:schedules", "tick") == occurrence


def test_a_deleted_schedule_leaves_its_jobs_and_no_key_of_its_own(redis: Redis, use: Use, worker: DueSchedules) -> None:
    put(use)
    make_due(redis)
    worker.run()
    assert use(lambda schedules: schedules.delete("tick"))
    assert not use(lambda schedules: schedules.delete("tick"))
    left = {key.decode() for key in redis.keys("errand:*")}
    assert not [key for key in left if "schedule:tick" in key and "tag" not in key]
    assert not left & {"errand:schedules", f"errand:batch:{TICK.batch}"}
    assert redis.llen("rq:queue:log") == 1


@pytest.mark.valkey
def test_it_costs_one_command_a_look_while_nothing_is_due(redis: Redis, use: Use, worker: DueSchedules) -> None:
    put(use)
    worker.run()
    before = redis.info("stats")["total_commands_processed"]
    for _ in range(10):
        worker.run()
    # Ten calls, the TIME and ZRANGE inside each, and the INFO before.
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] >= 10
    assert redis.info("stats")["total_commands_processed"] - before <= 10 * 3 + 3


def test_a_damaged_schedule_stops_alone(redis: Redis, use: Use, worker: DueSchedules) -> None:
    for name in ("a-gone", "b-string", "c-json", "d-cron", "e-runs", "tick"):
        put(use, replace(TICK, name=name))
        make_due(redis, name=name)
    redis.delete("errand:schedule:a-gone", "errand:schedule:b-string")
    redis.set("errand:schedule:b-string", "x")
    redis.hset("errand:schedule:c-json", "definition", "{")
    redis.hset("errand:schedule:d-cron", "definition", json.dumps({"type": "log", "cron": "61 * * * *"}))
    redis.set("errand:schedule:e-runs:runs", "x")
    for _ in range(3):
        worker.run()
    assert list_statuses(read(use)) == ["queued"]
    assert {name for name, score in redis.zrange("errand:schedules", 0, -1, withscores=True) if score == float("inf")}
    assert not redis.zrange("errand:schedules", "-inf", int(time.time()), byscore=True)
    for name in ("a-gone", "b-string", "c-json"):
        put(use, replace(TICK, name=name))
        assert read(use, name).next_runs


def test_an_occurrence_waits_for_a_worker_that_knows_its_type(
    redis: Redis, use: Use, worker: DueSchedules, queue_settings: QueueSettings, caplog: pytest.LogCaptureFixture
) -> None:
    put(use, replace(TICK, every_seconds=10, catch_up="all"))
    stranger = DueSchedules(redis, queue_settings, {"email": TYPES["email"]})
    occurrence = make_due(redis, seconds=10)
    stranger.run()
    assert redis.zscore("errand:schedules", "tick") == occurrence
    assert not caplog.messages
    occurrence = make_due(redis, 120, seconds=10)
    for _ in range(3):
        stranger.run()
    assert redis.zscore("errand:schedules", "tick") == occurrence
    assert caplog.messages == ["Schedule tick waits for a worker that knows its type, log"]
    worker.run()
    assert redis.llen("rq:queue:log") == 1


def test_a_job_files_schedule_stays_while_another_worker_has_its_type(
    redis: Redis, use: Use, with_file: DueSchedules, worker: DueSchedules
) -> None:
    with_file.run()
    redis.sadd("rq:workers", "rq:worker:new")
    redis.hset("errand:types:new", "digest", "0" * 12)
    worker.run()
    assert read(use, "jobs.digest").next_runs
    redis.delete("errand:types:new")
    worker.store_files_again()
    worker.run()
    assert not redis.exists("errand:schedule:jobs.digest")


@pytest.mark.valkey
def test_a_full_redis_keeps_the_occurrence(redis: Redis, use: Use, worker: DueSchedules) -> None:
    put(use)
    occurrence = make_due(redis)
    redis.config_set("maxmemory", 1_000_000)
    try:
        worker._are_files_stored = True
        worker.run()
    finally:
        redis.config_set("maxmemory", 0)
    assert redis.zscore("errand:schedules", "tick") == occurrence
    worker.run()
    assert list_statuses(read(use)) == ["queued"]


@pytest.fixture
def with_file(redis: Redis, queue_settings: QueueSettings) -> DueSchedules:
    """A worker whose job files include one with a cron."""

    def run(text: str = "x") -> None: ...

    run.__module__ = "jobs.digest"
    job: Job[..., Any] = declare(queue="log", cron="0 7 * * *", timezone="Europe/Paris")(run)
    return DueSchedules(redis, queue_settings, {**TYPES, "digest": job})


def test_a_job_files_schedule_is_there_with_the_worker(use: Use, with_file: DueSchedules) -> None:
    with_file.run()
    found = read(use, "jobs.digest")
    assert (found.source, found.schedule.cron, found.schedule.timezone) == ("file", "0 7 * * *", "Europe/Paris")
    assert len(found.next_runs) == 5
    with pytest.raises(OwnedByFileError):
        use(lambda schedules: schedules.delete("jobs.digest"))
    with pytest.raises(OwnedByFileError):
        put(use, replace(TICK, name="jobs.digest"))


def test_it_goes_with_its_line_and_others_stay(
    redis: Redis, use: Use, with_file: DueSchedules, worker: DueSchedules
) -> None:
    put(use)
    with_file.run()
    worker.run()
    assert [found.schedule.name for found in use(lambda schedules: schedules.list())] == ["tick"]
    assert not redis.keys("errand:schedule:jobs.*")


def test_a_restart_keeps_its_occurrence_and_its_pause(
    redis: Redis, use: Use, with_file: DueSchedules, queue_settings: QueueSettings
) -> None:
    with_file.run()
    occurrence = make_due(redis, 100, "jobs.digest", 86400)
    with_file.store_files_again()
    with_file._store_files()
    assert redis.zscore("errand:schedules", "jobs.digest") == occurrence
    use(lambda schedules: schedules.pause("jobs.digest"))
    with_file.store_files_again()
    with_file.run()
    assert read(use, "jobs.digest").paused


@pytest.mark.valkey
def test_memory_errors_of_the_server_are_the_callers(redis: Redis, use: Use, worker: DueSchedules) -> None:
    put(use)
    make_due(redis)
    worker.run()
    make_due(redis)
    worker._has_room = lambda: True  # type: ignore[method-assign]
    redis.config_set("maxmemory", 1_000_000)
    try:
        with pytest.raises(OutOfMemoryError):
            worker.run()
    finally:
        redis.config_set("maxmemory", 0)


def test_many_that_no_worker_here_can_serve_hold_up_nobody(redis: Redis, use: Use, worker: DueSchedules) -> None:
    now = int(time.time())
    for number in range(45):
        put(use, replace(TICK, name=f"strange-{number}", type="gone", every_seconds=10))
        redis.zadd("errand:schedules", {f"strange-{number}": now - 20})
    put(use)
    redis.zadd("errand:schedules", {"tick": now})
    worker.run()
    assert redis.llen("rq:queue:log") == 1


def test_a_run_that_can_not_be_read_holds_up_no_occurrence(redis: Redis, use: Use, worker: DueSchedules) -> None:
    put(use)
    make_due(redis)
    redis.rpush("errand:schedule:tick:runs", *["{"] * (RUNS_KEPT + 1))
    worker.run()
    assert redis.llen("rq:queue:log") == 1
    assert redis.llen("errand:schedule:tick:runs") == RUNS_KEPT


@pytest.mark.parametrize("status", ["queued", "started", "scheduled", "deferred", "rate_limited"])
def test_a_run_by_hand_of_one_that_skips_gives_way_to_its_last_job(
    redis: Redis, use: Use, worker: DueSchedules, status: str
) -> None:
    put(use, replace(TICK, overlap="skip"))
    make_due(redis)
    worker.run()
    (id,) = (id.decode() for id in redis.lrange("rq:queue:log", 0, -1))
    redis.hset(f"rq:job:{id}", "status", status)
    with pytest.raises(StillBusyError) as raised:
        use(lambda schedules: schedules.run("tick"))
    assert (raised.value.job_id, raised.value.status) == (id, status)
    assert (redis.llen("rq:queue:log"), len(read(use).runs)) == (1, 1)


@pytest.mark.parametrize("status", ["finished", "failed", "stopped", "canceled", None])
def test_a_run_by_hand_of_one_that_skips_runs_once_its_last_job_has_ended(
    redis: Redis, use: Use, worker: DueSchedules, status: str | None
) -> None:
    put(use, replace(TICK, overlap="skip"))
    make_due(redis)
    worker.run()
    (id,) = redis.lrange("rq:queue:log", 0, -1)
    if status:
        redis.hset(b"rq:job:" + id, "status", status)
    else:
        redis.delete(b"rq:job:" + id)
    assert use(lambda schedules: schedules.run("tick"))[1] == "queued"
    assert len(read(use).runs) == 2


def test_runs_by_hand_and_occurrences_of_one_that_skips_do_not_overlap(
    redis: Redis, use: Use, worker: DueSchedules
) -> None:
    put(use, replace(TICK, overlap="skip"))
    job, _ = use(lambda schedules: schedules.run("tick"))
    with pytest.raises(StillBusyError, match=job.id):
        use(lambda schedules: schedules.run("tick"))
    make_due(redis)
    worker.run()
    assert list_statuses(read(use)) == ["skipped", "queued"]
    assert job.id in str(read(use).runs[0].detail)


def test_a_run_by_hand_of_one_that_queues_waits_for_nobody_and_nobody_for_it(
    redis: Redis, use: Use, worker: DueSchedules
) -> None:
    put(use)
    occurrence = make_due(redis)
    worker.run()
    for _ in range(2):
        assert use(lambda schedules: schedules.run("tick"))[1] == "queued"
    assert redis.hget("errand:schedule:tick", "last_job") == TICK.derive_id(occurrence).encode()


def test_a_last_job_whose_record_is_damaged_holds_no_run_by_hand_up(redis: Redis, use: Use) -> None:
    put(use, replace(TICK, overlap="skip"))
    job, _ = use(lambda schedules: schedules.run("tick"))
    redis.delete(f"rq:job:{job.id}")
    redis.set(f"rq:job:{job.id}", "no hash")
    assert use(lambda schedules: schedules.run("tick"))[1] == "queued"
