"""Jobs that have not started in time: canceled wherever they wait, and never taken."""

import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from redis import Redis

from errand.redis.lua.loader import read_script
from errand.store.requeue import build_args
from errand.store.settings import QueueSettings
from errand.worker.maintenance import expired
from errand.worker.maintenance.sweep import Sweep
from errand.worker.records import Asking, Records
from tests.worker.expiring import EXPIRES, let_expire, look, store, store_one
from tests.worker.scripts import ask, build_records, list_held, read, send_report, take
from tests.worker.test_parked import NEW, OLD, Worker
from tests.worker.test_webhooks import URL, build_with_webhooks, list_sent

QUEUE = "rq:queue:default"


def read_error(redis: Redis, id: str) -> Any:
    return json.loads(read(redis, id, "errand_error")[0] or b"null")


def test_it_ends_as_a_canceled_job_does_and_says_why(redis: Redis, queue_settings: QueueSettings) -> None:
    id = store_one(redis, queue_settings)
    look(redis)
    assert read(redis, id, "status", "errand_attempts") == [b"canceled", None]
    expires_at = (read(redis, id, "errand_expires_at")[0] or b"").decode()
    assert read_error(redis, id) == {"type": "Expired", "message": f"it had not started by {expires_at}"}
    assert redis.zscore("rq:canceled:default", id)
    assert 0 < redis.ttl(f"rq:job:{id}") <= queue_settings.failure_ttl_seconds
    assert not redis.exists(QUEUE, EXPIRES)


def test_one_whose_time_has_not_come_is_left(redis: Redis, queue_settings: QueueSettings) -> None:
    id = store_one(redis, queue_settings, expires=60)
    look(redis)
    (execution,) = take(build_records(redis))
    assert (execution.job_id, round((execution.times.expires_at or 0) - time.time(), -1)) == (id, 60)


def in_queue(redis: Redis, settings: QueueSettings) -> str:
    return store_one(redis, settings, expires=60)


def in_a_paused_queue(redis: Redis, settings: QueueSettings) -> str:
    redis.sadd("errand:paused", "default")
    return in_queue(redis, settings)


def delayed(redis: Redis, settings: QueueSettings) -> str:
    return store_one(redis, settings, expires=60, run_at=datetime.now(UTC) + timedelta(seconds=30))


def waiting_for_another(redis: Redis, settings: QueueSettings) -> str:
    return store_one(redis, settings, expires=60, after=(delayed(redis, settings),))


def waiting_for_a_slot(redis: Redis, settings: QueueSettings) -> str:
    return store(redis, settings, 2, expires=60, limit=("k", 1))[1]


def waiting_for_its_rate(redis: Redis, settings: QueueSettings) -> str:
    ids = store(redis, settings, 2, expires=60)
    Worker(redis, "rated", tally=NEW).take(2, rates=("tally", 1, 60_000_000))
    assert redis.zrange("errand:rated:default:tally", 0, -1) == [ids[1].encode()]
    return ids[1]


def waiting_for_a_worker_with_its_type(redis: Redis, settings: QueueSettings) -> str:
    id = in_queue(redis, settings)
    Worker(redis, "old", log=OLD).take()
    assert redis.zrange("errand:parked:default:tally:", 0, -1) == [id.encode()]
    return id


def refused_by_a_worker(redis: Redis, settings: QueueSettings) -> str:
    id = in_queue(redis, settings)
    old, _ = Worker(redis, "old", tally=OLD), Worker(redis, "new", tally=NEW)
    (execution,) = old.take()
    assert old.send_report("refused", execution) == "parked"
    return id


PLACES = [
    *(in_queue, in_a_paused_queue, delayed, waiting_for_another, waiting_for_a_slot),
    *(waiting_for_its_rate, waiting_for_a_worker_with_its_type, refused_by_a_worker),
]


@pytest.mark.parametrize("put", PLACES)
def test_it_is_canceled_wherever_it_waits(redis: Redis, queue_settings: QueueSettings, put: Callable[..., str]) -> None:
    id = put(redis, queue_settings)
    let_expire(redis, id)
    look(redis)
    assert read(redis, id, "status") == [b"canceled"]
    assert read_error(redis, id)["type"] == "Expired"
    left: list[Any] = redis.keys("*")
    named = [key for key in left if key != b"rq:canceled:default" and holds(redis, key, id)]
    assert named == [b"errand:index:default:tally"]


def holds(redis: Redis, key: bytes, id: str) -> bool:
    """Return whether a key's members name a job."""
    kind = redis.type(key)
    if kind == b"list":
        return id.encode() in redis.lrange(key, 0, -1)
    if kind == b"set":
        return bool(redis.sismember(key, id)) and not key.startswith(b"errand:dependents:")
    return kind == b"zset" and redis.zscore(key, id) is not None


def test_those_that_wait_for_it_go_as_they_say(redis: Redis, queue_settings: QueueSettings) -> None:
    id = store_one(redis, queue_settings, expires=60)
    kept = {"expires_in_seconds": None, "after": (id,)}
    ids = [store_one(redis, queue_settings, on_failure=report, **kept) for report in ("cancel", "run", "wait")]
    let_expire(redis, id)
    look(redis)
    assert [read(redis, one, "status")[0] for one in ids] == [b"canceled", b"queued", b"deferred"]
    assert redis.ttl(f"rq:job:{id}") == -1  # one waits for its requeue


def test_its_slot_goes_to_the_next(redis: Redis, queue_settings: QueueSettings) -> None:
    first, second = store(redis, queue_settings, 2, expires=60, limit=("k", 1))
    let_expire(redis, first)
    look(redis)
    assert [execution.job_id for execution in take(build_records(redis), 2)] == [second]


def test_its_batch_and_its_webhook_hear_of_it(redis: Redis, queue_settings: QueueSettings) -> None:
    id = store_one(redis, queue_settings, webhook=URL)
    redis.hset(f"rq:job:{id}", "errand_batch", "b")
    redis.hset("errand:batch:b", id, "")
    look(redis, build_with_webhooks(redis))
    assert redis.hget("errand:batch:b", id) == b"canceled"
    (event,) = list_sent(redis)
    assert (event["type"], event["data"]["error"]["type"]) == ("job.canceled", "Expired")


def test_a_take_does_not_start_it_where_the_chores_are_late(redis: Redis, queue_settings: QueueSettings) -> None:
    late, other = store_one(redis, queue_settings), store_one(redis, queue_settings, expires=60)
    exchange = ask(build_records(redis), ["e1", "e2"])
    assert [execution.job_id for execution in exchange.executions] == [other]
    assert exchange.expired == [("default", "tally", 1)]
    assert read(redis, late, "status", "errand_attempts") == [b"canceled", None]
    assert redis.zrange(EXPIRES, 0, -1) == [other.encode()]


def test_a_take_passes_over_many_in_steps(redis: Redis, queue_settings: QueueSettings) -> None:
    store(redis, queue_settings, 450)
    other = store_one(redis, queue_settings, expires=60)
    records = build_records(redis)
    exchanges: list[Any] = []
    while not exchanges or exchanges[-1].wait_seconds == 0:
        exchanges.append(ask(records, [f"e{len(exchanges)}"]))
    assert [sum(count for *_, count in exchange.expired) for exchange in exchanges] == [200, 200, 50]
    assert [execution.job_id for execution in exchanges[-1].executions] == [other]


def test_a_job_that_is_taken_is_never_canceled_and_one_that_is_canceled_never_taken(
    redis: Redis, queue_settings: QueueSettings
) -> None:
    ids = store(redis, queue_settings, 600, expires=0.1)
    stopped: list[bool] = []

    def cancel() -> None:
        while not stopped:
            look(redis)

    chores = Thread(target=cancel)
    chores.start()
    records, taken = build_records(redis), list[str]()
    while redis.exists(QUEUE):
        taken += [execution.job_id for execution in take(records, 2, f"e{len(taken)}-")]
    stopped.append(True)
    chores.join()
    statuses = {id: read(redis, id, "status")[0] for id in ids}
    assert statuses == {id: b"started" if id in taken else b"canceled" for id in ids}


def test_one_that_has_started_in_time_is_left_and_tried_again(redis: Redis, queue_settings: QueueSettings) -> None:
    running, retried = store(redis, queue_settings, 2, expires=60)
    records = build_records(redis)
    _, execution = take(records, 2)
    assert send_report(records, "failed", execution) == "scheduled"
    let_expire(redis, running, retried)
    look(redis)
    assert [read(redis, id, "status")[0] for id in (running, retried)] == [b"started", b"scheduled"]
    assert not redis.exists(EXPIRES)


def test_a_late_try_of_one_that_started_in_time_is_taken(redis: Redis, queue_settings: QueueSettings) -> None:
    id = store_one(redis, queue_settings, expires=60)
    records = build_records(redis)
    assert send_report(records, "interrupted", take(records)[0]) == "queued"
    let_expire(redis, id)
    assert [execution.job_id for execution in take(records, prefix="f")] == [id]


def test_one_that_is_taken_again_after_a_lost_reply_still_knows_its_expiry(
    redis: Redis, queue_settings: QueueSettings
) -> None:
    store(redis, queue_settings, expires=60)
    records = build_records(redis)
    first = ask(records, ["e1"]).executions
    again = ask(records, ["e1"], asking=Asking.AGAIN).executions
    assert (
        [execution.times.expires_at for execution in first]
        == [execution.times.expires_at for execution in again]
        != [None]
    )


def test_a_requeued_one_runs(redis: Redis, queue_settings: QueueSettings) -> None:
    id = store_one(redis, queue_settings)
    look(redis)
    assert redis.register_script(read_script("store/requeue"))(args=build_args([id], ["canceled"])) == [b""]
    look(redis)
    (execution,) = take(build_records(redis))
    assert (execution.job_id, execution.times.expires_at) == (id, None)


def test_a_damaged_one_holds_up_no_other(redis: Redis, queue_settings: QueueSettings) -> None:
    damaged, id, gone = store(redis, queue_settings, 3)
    redis.set(f"rq:job:{damaged}:dependents", "no set")
    redis.delete(f"rq:job:{gone}")
    look(redis)
    assert read(redis, damaged, "status") == [b"failed"]
    assert read(redis, id, "status") == [b"canceled"]
    assert not redis.exists(EXPIRES)


@pytest.mark.parametrize("place", [0, 2500, 4999])
def test_it_is_found_wherever_it_is_in_a_long_queue(redis: Redis, queue_settings: QueueSettings, place: int) -> None:
    ids = store(redis, queue_settings, 1000, expires=60)
    redis.delete(QUEUE)
    others = [f"x{number}" for number in range(4999)]
    redis.rpush(QUEUE, *others[:place], ids[0], *others[place:])
    let_expire(redis, ids[0])
    look(redis)
    assert redis.lrange(QUEUE, 0, -1) == [name.encode() for name in others]


def test_a_step_ends_when_it_has_searched_enough(redis: Redis, queue_settings: QueueSettings) -> None:
    store(redis, queue_settings, 30)
    redis.lpush(QUEUE, *(f"x{number}" for number in range(3000)))
    redis.rpush(QUEUE, *(f"y{number}" for number in range(3000)))
    step = build_records(redis).expire(0, 30, 10_000)
    assert (step.more, step.left) == (True, 0)
    assert 0 < step.expired[0][2] < 30


def test_the_log_says_how_many(
    redis: Redis,
    queue_settings: QueueSettings,
    records: Records,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(expired, "ROUND_SECONDS", 60)
    store(redis, queue_settings, expired.MOST_AT_ONCE + 50)
    with caplog.at_level(logging.WARNING, "errand.worker"):
        logging.getLogger("errand.worker").addHandler(caplog.handler)
        look(redis, records)
        logging.getLogger("errand.worker").removeHandler(caplog.handler)
    assert {record.message for record in caplog.records} == {"Queue default: 250 of tally expired and are canceled"}


def test_the_sweep_forgets_those_that_are_gone(redis: Redis, queue_settings: QueueSettings) -> None:
    gone, id = store(redis, queue_settings, 2, expires=60)
    redis.delete(f"rq:job:{gone}")
    Sweep(redis).run(0)
    assert redis.zrange(EXPIRES, 0, -1) == [id.encode()]


def test_nothing_is_left_in_execution(redis: Redis, queue_settings: QueueSettings) -> None:
    store(redis, queue_settings, 3)
    take(build_records(redis), 3)
    assert list_held(redis) == []
