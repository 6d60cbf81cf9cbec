"""A type is held while what its jobs work with is down: no try is spent, one job at a time probes it."""

import json
import logging
import time
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Retry

from errand import Backoff, ServiceDownError, UnfinishedError, job
from errand.redis import keys
from errand.redis.lua.loader import read_script
from errand.store.requeue import build_args
from errand.store.settings import QueueSettings
from errand.worker.execution import Execution
from errand.worker.maintenance.parked import ParkedJobs
from errand.worker.records import Records
from errand.worker.report import Report
from tests.worker.draining import drain, enqueue
from tests.worker.scripts import LIFETIMES, list_held, read
from tests.worker.test_async_jobs import run_alone
from tests.worker.test_parked import NEW, Worker, store, store_with_rq

OURS, OTHERS = "a" * 12, "b" * 12
HELD = f"errand:held:tally:{OURS}"
PARKED = f"errand:parked:default:tally:~{OURS}"
DOWN = json.dumps({"type": "ServiceDownError", "message": "connect to mail:25: refused"})


class Sender(Worker):
    """A worker whose jobs of the type tally work with a service."""

    def __init__(self, redis: Redis, name: str = "one", service: str = OURS) -> None:
        super().__init__(redis, name, log=NEW, tally=NEW)
        self.records = Records(redis, name, LIFETIMES, codes=self.types.codes, services={"tally": service})

    def find_down(self, execution: Execution, error: str = DOWN) -> str:
        (answer,) = self.records.exchange([Report("down", execution, "", error, 0.0, time.time())]).answers
        return answer


def make_probe_due(redis: Redis) -> None:
    redis.hset(HELD, "probe_at_ms", "1")


def test_no_try_is_spent_and_the_job_says_why_it_waits(redis: Redis, queue_settings: QueueSettings) -> None:
    (id,) = store(redis, queue_settings)
    one = Sender(redis)
    (execution,) = one.take()
    tries = read(redis, id, "retries_left")
    assert one.find_down(execution) == "parked"
    assert read(redis, id, "status", "errand_attempts", "errand_error") == [b"queued", b"0", DOWN.encode()]
    assert read(redis, id, "retries_left") == tries
    assert not list_held(redis)
    parked = json.loads(read(redis, id, "errand_parked")[0] or b"{}")
    assert parked == {
        "key": PARKED,
        "reason": "connect to mail:25: refused",
        "since": (redis.hget(HELD, "since") or b"").decode(),
    }


def test_the_types_other_jobs_wait_as_well_and_other_types_go_on(redis: Redis, queue_settings: QueueSettings) -> None:
    ids = store(redis, queue_settings, 3)
    other = store_with_rq(redis, "jobs.log.run.perform", description="log")
    one = Sender(redis)
    (execution,) = one.take(1)
    one.find_down(execution)
    assert [execution.job_id for execution in one.take()] == [other]
    assert redis.zrange(PARKED, 0, -1) == [id.encode() for id in ids]


def test_one_job_at_a_time_probes_whatever_the_number_of_workers(redis: Redis, queue_settings: QueueSettings) -> None:
    store(redis, queue_settings, 3)
    one, two = Sender(redis), Sender(redis, "two")
    (execution,) = one.take(1)
    one.find_down(execution)
    assert not one.take()
    assert not two.take()
    make_probe_due(redis)
    assert [len(worker.take()) for worker in (two, one, two)] == [1, 0, 0]


def test_the_waits_between_probes_grow_to_a_minute(redis: Redis, queue_settings: QueueSettings) -> None:
    store(redis, queue_settings, 2)
    one, waits = Sender(redis), []
    for _ in range(8):
        (execution,) = one.take(1)
        one.find_down(execution)
        at_ms = int(redis.hget(HELD, "probe_at_ms") or 0)
        seconds, microseconds = redis.time()
        waits.append(round((at_ms - seconds * 1000 - microseconds / 1000) / 1000))
        make_probe_due(redis)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_probe_that_fails_goes_behind_the_others(redis: Redis, queue_settings: QueueSettings) -> None:
    ids = store(redis, queue_settings, 2)
    one = Sender(redis)
    probes = []
    for _ in range(4):
        (execution,) = one.take(1)
        probes.append(execution.job_id)
        one.find_down(execution)
        one.take()  # parks the other
        make_probe_due(redis)
    assert probes == [ids[0], *ids, ids[0]]


def test_those_that_started_before_make_no_probe_of_their_failure(redis: Redis, queue_settings: QueueSettings) -> None:
    store(redis, queue_settings, 3)
    one = Sender(redis)
    for execution in one.take(3):
        one.find_down(execution)
    assert redis.hget(HELD, "wait_seconds") == b"1"


@pytest.mark.parametrize("kind", ["finished", "failed", "permanent", "partial:"])
def test_the_first_that_comes_past_it_ends_the_hold(redis: Redis, queue_settings: QueueSettings, kind: str) -> None:
    ids = store(redis, queue_settings, 4)
    one = Sender(redis)
    first, *_ = one.take(1)
    one.find_down(first)
    make_probe_due(redis)
    (probe,) = one.take(1)
    one.send_report(kind, probe)
    assert not redis.exists("errand:held", HELD)
    assert {execution.job_id for execution in one.take(4)} >= set(ids) - {probe.job_id}
    assert not redis.exists("errand:parked", PARKED)


@pytest.mark.parametrize("kind", ["progress", "interrupted", "stopped", "refused"])
def test_what_says_nothing_of_the_service_ends_no_hold(redis: Redis, queue_settings: QueueSettings, kind: str) -> None:
    store(redis, queue_settings, 2)
    one = Sender(redis)
    first, second = one.take(2)
    one.find_down(first)
    one.send_report(kind, second)
    assert redis.exists("errand:held", HELD) == 2


def test_a_probe_whose_worker_died_is_made_by_another(redis: Redis, queue_settings: QueueSettings) -> None:
    store(redis, queue_settings, 3)
    one, two = Sender(redis), Sender(redis, "two")
    (execution,) = one.take(1)
    one.find_down(execution)
    make_probe_due(redis)
    (probe,) = one.take(1)
    assert not two.take(1)
    redis.zrem("errand:leases", probe.member)
    make_probe_due(redis)
    assert len(two.take(1)) == 1


def test_a_worker_that_works_with_another_service_takes_what_waits(redis: Redis, queue_settings: QueueSettings) -> None:
    ids = store(redis, queue_settings, 3)
    stale, healthy = Sender(redis), Sender(redis, "two", OTHERS)
    (execution,) = stale.take(1)
    stale.find_down(execution)
    assert not stale.take()
    assert {execution.job_id for execution in healthy.take()} == set(ids)
    assert redis.exists(HELD)


def test_a_job_that_was_stopped_meanwhile_stays_stopped(redis: Redis, queue_settings: QueueSettings) -> None:
    (id,) = store(redis, queue_settings)
    one = Sender(redis)
    (execution,) = one.take()
    redis.hset(f"rq:job:{id}", "errand_stop", execution.id)
    assert one.find_down(execution) == "stopped"


def test_only_its_hours_end_a_job(redis: Redis, queue_settings: QueueSettings) -> None:
    first, second = store(redis, queue_settings, 2)
    policy = Backoff(hours=1).policy
    for id, start in ((first, time.time() - 3700), (second, time.time() - 3500)):
        redis.hset(f"rq:job:{id}", mapping={"errand_backoff": policy, "errand_first_start": start})
    one = Sender(redis)
    assert [one.find_down(execution) for execution in one.take(2)] == ["failed", "parked"]
    assert read(redis, first, "status", "errand_error") == [b"failed", DOWN.encode()]


def test_its_hours_run_from_its_first_start(redis: Redis, queue_settings: QueueSettings) -> None:
    (id,) = store(redis, queue_settings)
    redis.hset(f"rq:job:{id}", "errand_backoff", Backoff(hours=1).policy)
    one = Sender(redis)
    (execution,) = one.take()
    one.find_down(execution)
    assert float(read(redis, id, "errand_first_start")[0] or 0) == pytest.approx(execution.started, abs=1)


def test_a_hold_that_nobody_probes_ends_by_itself(redis: Redis, queue_settings: QueueSettings) -> None:
    store(redis, queue_settings, 2)
    one = Sender(redis)
    (execution,) = one.take(1)
    one.find_down(execution)
    assert 800 < redis.ttl(HELD) <= 900
    redis.delete(HELD)
    assert len(one.take()) == 2
    ParkedJobs(redis).run()
    assert not redis.exists("errand:held")


def test_the_log_says_why_they_wait_and_since_when(
    redis: Redis, queue_settings: QueueSettings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("errand.worker"), "propagate", True)
    store(redis, queue_settings, 2)
    one = Sender(redis)
    (execution,) = one.take(1)
    one.find_down(execution)
    one.take()
    ParkedJobs(redis).run()
    since = (redis.hget(HELD, "since") or b"").decode()
    assert f"Queue default: 2 of tally wait: connect to mail:25: refused (since {since})" in caplog.text


@job()
def run(fails: str = "", result: Any = None) -> Any:
    if fails == "down":
        raise ServiceDownError("the other side is down")
    if fails == "partly":
        raise UnfinishedError("one is missing", {"got": 1})
    return result


def test_a_job_that_finds_its_service_down_waits_for_it(redis: Redis, queue: Queue) -> None:
    held = enqueue(queue, run, fails="down")
    drain(redis, [run])
    assert read(redis, held.id, "status", "errand_attempts") == [b"queued", b"0"]
    assert redis.smembers("errand:held") == {f"{run.type}:any".encode()}


def test_one_in_a_process_of_its_own_does_as_well(redis: Redis, queue: Queue) -> None:
    held = enqueue(queue, run, fails="down")
    run_alone(redis, [run])
    assert read(redis, held.id, "status", "errand_attempts") == [b"queued", b"0"]


def test_work_half_done_is_tried_again_while_there_are_tries(redis: Redis, queue: Queue) -> None:
    held = queue.enqueue_call(run.path, kwargs={"fails": "partly"}, description=run.type, retry=Retry(1, 100))
    drain(redis, [run])
    assert read(redis, held.id, "status", "retries_left") == [b"scheduled", b"0"]
    assert b"one is missing" in (read(redis, held.id, "errand_error")[0] or b"")


def test_it_finishes_with_what_is_done_where_no_try_is_left(redis: Redis, queue: Queue) -> None:
    held = enqueue(queue, run, fails="partly")
    child = queue.enqueue_call(run.path, description=run.type, depends_on=held)
    drain(redis, [run])
    assert held.get_status(refresh=True) == "finished"
    assert held.return_value(refresh=True) == {"got": 1}
    assert read(redis, held.id, "errand_error") == [None]
    assert child.get_status(refresh=True) == "finished"
    assert not list_held(redis)


def test_what_was_done_counts_where_the_service_is_down_at_the_end(redis: Redis, queue_settings: QueueSettings) -> None:
    (id,) = store(redis, queue_settings)
    redis.hset(f"rq:job:{id}", mapping={"errand_backoff": Backoff(hours=1).policy, "retries_left": 5})
    one = Sender(redis)
    (execution,) = one.take()
    assert one.send_report("partial:MQ==", execution) == "scheduled"
    redis.hset(f"rq:job:{id}", mapping={"status": "queued", "errand_first_start": time.time() - 4000})
    redis.rpush("rq:queue:default", id)
    (execution,) = one.take()
    assert one.find_down(execution) == "finished"
    assert read(redis, id, "status", "errand_error") == [b"finished", None]


def test_what_failed_at_last_finishes_with_what_was_done_before(redis: Redis, queue_settings: QueueSettings) -> None:
    (id,) = store(redis, queue_settings)
    one = Sender(redis)
    (execution,) = one.take()
    one.send_report("partial:MQ==", execution)
    redis.hset(f"rq:job:{id}", mapping={"status": "queued", "retries_left": 0})
    redis.rpush("rq:queue:default", id)
    (execution,) = one.take()
    assert one.send_report("failed", execution) == "finished"
    assert read(redis, id, "status", "errand_error") == [b"finished", None]


def test_one_that_finished_with_a_part_undone_may_be_requeued(redis: Redis, queue: Queue) -> None:
    held, whole = enqueue(queue, run, fails="partly"), enqueue(queue, run)
    drain(redis, [run])
    requeue = redis.register_script(read_script("store/requeue"))
    bulk = build_args([held.id], ["failed"])
    assert requeue(args=bulk) == [b"its status is finished"]
    assert requeue(args=build_args([held.id, whole.id], keys.ENDED_BADLY, undone=True)) == [
        b"",
        b"its status is finished",
    ]
    assert held.get_status(refresh=True) == "queued"
    assert redis.zscore("rq:finished:default", held.id) is None
    drain(redis, [run])
    assert held.get_status(refresh=True) == "finished"
