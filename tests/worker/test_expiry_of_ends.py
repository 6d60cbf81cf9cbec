"""Jobs that must have ended by their expiry, as a mail: those that are tried again are canceled too."""

import json
import time
from base64 import b64encode
from contextvars import Context
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job as RQJob

from errand.contract.attempt import current_attempt
from errand.contract.expiry import check_expiry
from errand.contract.job import job
from errand.store.settings import QueueSettings
from errand.worker.allowed_functions import AllowedJob
from errand.worker.attempt import LiveAttempt, perform
from errand.worker.execution import Execution, JobTimes
from errand.worker.maintenance import expired
from errand.worker.records import Records
from errand.worker.report import Report
from tests.worker.draining import drain
from tests.worker.expiring import EXPIRES, LETTER, let_expire, look, store, store_one
from tests.worker.scripts import build_records, list_held, read, send_report, take
from tests.worker.test_webhooks import URL, build_with_webhooks, list_sent

RESULT = b64encode(json.dumps({"recipients": {"ada@example.com": "sent"}}).encode()).decode()


def read_error(redis: Redis, id: str) -> Any:
    return json.loads(read(redis, id, "errand_error")[0] or b"null")


def report_partly(records: Records, execution: Execution) -> str:
    error = json.dumps({"type": "UnfinishedError", "message": "bo@example.com waits"})
    (answer,) = records.exchange([Report(f"partial:{RESULT}", execution, "", error, 0.0, time.time())]).answers
    return answer


def test_one_that_waits_for_its_next_try_is_canceled_with_its_last_error(
    redis: Redis, queue_settings: QueueSettings
) -> None:
    id = store_one(redis, queue_settings, expires=60, of=LETTER)
    records = build_records(redis)
    assert send_report(records, "failed", take(records)[0]) == "scheduled"
    let_expire(redis, id)
    look(redis)
    expires_at = (read(redis, id, "errand_expires_at")[0] or b"").decode()
    assert read(redis, id, "status", "errand_attempts") == [b"canceled", b"1"]
    message = f"it had not ended by {expires_at}; its last error was ValueError: no"
    assert read_error(redis, id) == {"type": "Expired", "message": message}
    assert not redis.exists("rq:scheduled:default", EXPIRES)


def test_while_it_runs_it_is_left_and_holds_up_no_other(redis: Redis, queue_settings: QueueSettings) -> None:
    ids = store(redis, queue_settings, 4, expires=60, of=LETTER)
    records = build_records(redis)
    executions = take(records, 3)
    let_expire(redis, *ids)
    first = records.expire(0, 2, 1000)
    assert (first.more, first.left, first.expired) == (True, 2, [])
    second = records.expire(2, 2, 1000)
    assert (second.left, second.expired) == (1, [("default", "letter", 1)])
    assert send_report(records, "finished", executions[0]) == "finished"
    assert send_report(records, "interrupted", executions[1]) == "queued"
    look(redis)
    assert [read(redis, id, "status")[0] for id in ids] == [b"finished", b"canceled", b"started", b"canceled"]
    assert redis.zrange(EXPIRES, 0, -1) == [ids[2].encode()]


def test_the_chore_looks_behind_those_that_run(
    redis: Redis, queue_settings: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expired, "MOST_AT_ONCE", 2)
    ids = store(redis, queue_settings, 6, expires=60, of=LETTER)
    take(build_records(redis), 5)
    let_expire(redis, *ids)
    look(redis)
    assert [read(redis, id, "status")[0] for id in ids] == [b"started"] * 5 + [b"canceled"]


def test_a_take_does_not_try_it_again(redis: Redis, queue_settings: QueueSettings) -> None:
    id = store_one(redis, queue_settings, expires=60, of=LETTER)
    records = build_records(redis)
    assert send_report(records, "interrupted", take(records)[0]) == "queued"
    let_expire(redis, id)
    assert take(records, prefix="f") == []
    assert read(redis, id, "status") == [b"canceled"]


def test_its_last_try_comes_a_while_before(redis: Redis, queue_settings: QueueSettings) -> None:
    for _ in range(20):  # waits are drawn
        redis.flushall()
        store(redis, queue_settings, expires=100, of=LETTER)
        records = build_records(redis)
        assert send_report(records, "failed", take(records)[0]) == "scheduled"
        (_, due), *_ = redis.zrange("rq:scheduled:default", 0, -1, withscores=True)
        assert due - time.time() <= 91


def test_where_no_time_is_left_for_one_it_waits_to_be_canceled(redis: Redis, queue_settings: QueueSettings) -> None:
    id = store_one(redis, queue_settings, expires=9, of=LETTER)
    records = build_records(redis)
    assert send_report(records, "failed", take(records)[0]) == "scheduled"
    let_expire(redis, id)
    look(redis)
    assert read(redis, id, "status") == [b"canceled"]


def test_the_next_try_of_one_that_has_only_to_start_comes_when_it_comes(
    redis: Redis, queue_settings: QueueSettings
) -> None:
    id = store_one(redis, queue_settings, expires=12)
    redis.hset(f"rq:job:{id}", "retry_intervals", "[3600]")
    records = build_records(redis)
    assert send_report(records, "failed", take(records)[0]) == "scheduled"
    assert redis.zscore("rq:scheduled:default", id) > time.time() + 3500


@pytest.mark.parametrize("result_ttl", [500, 0])
def test_one_that_is_done_in_part_finishes_with_that(
    redis: Redis, queue_settings: QueueSettings, result_ttl: int
) -> None:
    id = store_one(redis, queue_settings, expires=60, of=LETTER, webhook=URL)
    redis.hset(f"rq:job:{id}", mapping={"errand_batch": "b", "result_ttl": result_ttl})
    redis.hset("errand:batch:b", id, "")
    child = store_one(redis, queue_settings, expires=60, of=LETTER, after=(id,))
    records = build_with_webhooks(redis)
    assert report_partly(records, take(records)[0]) == "scheduled"
    let_expire(redis, id)
    look(redis, records)
    assert redis.hget("errand:batch:b", id) == b"finished"
    assert read(redis, child, "status") == [b"queued"]
    (event,) = list_sent(redis)
    assert (event["type"], event["result_base64"]) == ("job.finished", RESULT)
    if result_ttl:
        found = RQJob.fetch(id, connection=redis, serializer="json")
        assert (found.get_status(), found.return_value()) == ("finished", {"recipients": {"ada@example.com": "sent"}})
        assert 0 < redis.ttl(f"rq:job:{id}") <= 500
        assert redis.zscore("rq:finished:default", id)
        assert read(redis, id, "errand_error", "errand_partial") == [None, RESULT.encode()]
    else:
        left: list[Any] = redis.keys("*")
        assert not [key for key in left if id.encode() in key and not key.startswith(b"errand:")]


def test_what_it_says_itself_cancels_it(redis: Redis, queue_settings: QueueSettings) -> None:
    id = store_one(redis, queue_settings, expires=60, of=LETTER, limit=("k", 1))
    other = store_one(redis, queue_settings, expires=60, of=LETTER, limit=("k", 1))
    records = build_records(redis)
    assert send_report(records, "expired", take(records)[0]) == "expired"
    assert read(redis, id, "status", "retries_left") == [b"canceled", b"172800"]
    assert list_held(redis) == []
    assert [execution.job_id for execution in take(records, prefix="f")] == [other]


def test_what_it_says_itself_finishes_it_where_a_part_is_done(redis: Redis, queue_settings: QueueSettings) -> None:
    id = store_one(redis, queue_settings, expires=60, of=LETTER)
    records = build_records(redis)
    (execution,) = take(records)
    redis.hset(f"rq:job:{id}", "errand_partial", RESULT)
    assert send_report(records, "expired", execution) == "finished"
    assert read(redis, id, "status") == [b"finished"]


def build_late(expires_at: float | None) -> tuple[Report, BaseException | None]:
    """Run a job that asks before it does what can't be taken back."""

    class Asking(AllowedJob):
        def perform(self) -> Any:
            check_expiry()

    execution = Execution(
        *("job", "e", "default", b"", 60, "", "", "x", 0, "", time.time(), time.monotonic()),
        times=JobTimes(expires_at=expires_at),
    )
    attempt = LiveAttempt(lambda text: None, execution.now, expires_at=expires_at)
    return Context().run(perform, execution, attempt, Asking, Redis())


@pytest.mark.parametrize("in_seconds", [None, 60])
def test_a_job_goes_on_as_long_as_it_has_time(in_seconds: int | None) -> None:
    report, _ = build_late(in_seconds and time.time() + in_seconds)
    assert report.kind == "finished"


def test_a_job_that_has_no_time_left_says_so() -> None:
    report, _ = build_late(1_700_000_000.0)
    assert (report.kind, json.loads(report.error)) == (
        "expired",
        {"type": "Expired", "message": "it had not ended by 2023-11-14T22:13:20.000Z"},
    )


@job(expires="end")
def run() -> float | None:
    """Return when it expires, as it knows."""
    return current_attempt().read_expiry()


def test_a_job_in_a_runner_knows_when_it_expires(redis: Redis, queue_settings: QueueSettings) -> None:
    asking = run.adopt("jobs.asking")
    id = store_one(redis, queue_settings, expires=60, of=asking)
    drain(redis, [asking])
    found = RQJob.fetch(id, connection=redis, serializer="json")
    assert abs((found.return_value() or 0) - time.time() - 60) < 30


def test_a_queue_of_rq_knows_what_was_canceled(redis: Redis, queue_settings: QueueSettings) -> None:
    id = store_one(redis, queue_settings, of=LETTER)
    look(redis)
    queue = Queue("default", connection=redis, serializer="json")
    assert queue.canceled_job_registry.get_job_ids() == [id]
    assert queue.count == 0
