"""The webhooks that the worker's scripts store with the ends of jobs."""

import time
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from redis import Redis
from rq import Queue, Retry
from rq.job import Job

from errand.webhook.webhooks import Webhooks
from errand.worker.records import Records
from errand.worker.report import Report
from errand.worker.served import ServedQueues
from tests.support.job_types import TYPES, WEBHOOK
from tests.support.receivers import SECRET
from tests.worker.scripts import LIFETIMES, build_records, end_leases, enqueue, send_report, take

URL, GLOBAL = "https://example.com/hooks?token=t", "https://example.org/all"


def build_with_webhooks(redis: Redis, url: str = "") -> Records:
    """Return the records of a worker that stores webhooks."""
    build_records(redis)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEBHOOK_SECRETS", SECRET)
        patch.setenv("WEBHOOK_URL", url)
        return Records(redis, "one", LIFETIMES, Webhooks(TYPES).values)


@pytest.fixture
def hooked(redis: Redis) -> Records:
    return build_with_webhooks(redis)


def list_sent(redis: Redis) -> list[dict[str, Any]]:
    """Return the events of the webhooks that wait in their queue."""
    ids = [id.decode() for id in redis.lrange("rq:queue:webhook", 0, -1)]
    return [Job.fetch(id, connection=redis, serializer="json").kwargs["event"] for id in ids]


def hook(redis: Redis, *ids: str) -> None:
    """Give jobs a webhook."""
    for id in ids:
        redis.hset(f"rq:job:{id}", "errand_webhook", URL)


def add_batch(redis: Redis, ids: list[str], **fields: Any) -> None:
    """Make jobs the batch b."""
    for id in ids:
        redis.hset(f"rq:job:{id}", "errand_batch", "b")
    redis.hset("errand:batch:b", mapping={"type": "x", "created_at": "t"} | fields | dict.fromkeys(ids, ""))


def test_a_webhooks_job_has_what_rq_and_the_lists_need(redis: Redis, queue: Queue, hooked: Records) -> None:
    (id,) = enqueue(queue, result_ttl=77, failure_ttl=88)
    hook(redis, id)
    (execution,) = take(hooked)
    before = time.time()
    send_report(hooked, "finished", execution, "MQ==")
    (sent,) = Queue("webhook", connection=redis, serializer="json").jobs
    assert (sent.func_name, sent.description, sent.get_status().value) == (
        "jobs.webhook.run.perform",
        "webhook",
        "queued",
    )
    assert (sent.timeout, sent.result_ttl, sent.failure_ttl, sent.retries_left) == (60, 77, 88, 49)
    assert len(sent.retry_intervals or ()) == 49
    assert isinstance(sent.created_at, datetime)
    assert UUID(sent.id)
    assert b"rq:queue:webhook" in redis.smembers("rq:queues")
    index_seconds = redis.zscore("errand:index:webhook:webhook", sent.id) / 1e6
    assert before - 0.01 <= index_seconds <= time.time() + 0.01  # the worker knows the time as of its last answer
    assert redis.zscore("errand:indexes", "errand:index:webhook:webhook") == 0
    event = sent.kwargs["event"]
    assert (event["url"], event["type"], event["result_base64"]) == (URL, "job.finished", "MQ==")
    WEBHOOK.payload.load(sent.kwargs)


def test_waits_differ_between_webhooks_and_keep_the_backoffs_ceilings(
    redis: Redis, queue: Queue, hooked: Records
) -> None:
    ids = enqueue(queue, 20)
    hook(redis, *ids)
    for execution in take(hooked, 20):
        send_report(hooked, "finished", execution)
    waits = [job.retry_intervals for job in Queue("webhook", connection=redis, serializer="json").jobs]
    assert len({tuple(one) for one in waits}) == 20
    ceilings = WEBHOOK.retry.ceilings_seconds
    for one in waits:
        assert all(1 <= wait <= ceiling for wait, ceiling in zip(one, ceilings, strict=True))
    assert max(one[-1] for one in waits) > 3600


def test_a_report_that_comes_twice_sends_one_webhook(redis: Redis, queue: Queue, hooked: Records) -> None:
    hook(redis, *enqueue(queue))
    (execution,) = take(hooked)
    assert [send_report(hooked, "finished", execution) for _ in range(2)] == ["finished", "late"]
    assert len(list_sent(redis)) == 1


def test_no_second_webhook_is_sent_for_an_end_that_had_one(redis: Redis, queue: Queue, hooked: Records) -> None:
    (id,) = enqueue(queue)
    hook(redis, id)
    for prefix in ("e", "f"):
        (execution,) = take(hooked, prefix=prefix)
        send_report(hooked, "finished", execution)
        redis.hset(f"rq:job:{id}", mapping={"status": "queued", "errand_attempts": 0})  # as if it had not run
        redis.rpush(queue.key, id)
    assert len(list_sent(redis)) == 1


def test_a_failure_that_is_tried_again_is_no_end(redis: Redis, queue: Queue, hooked: Records) -> None:
    hook(redis, *enqueue(queue, retry=Retry(1)))
    (execution,) = take(hooked)
    send_report(hooked, "failed", execution)
    assert list_sent(redis) == []
    (execution,) = take(hooked, prefix="f")
    send_report(hooked, "failed", execution)
    (event,) = list_sent(redis)
    assert (event["type"], event["data"]["attempts"]) == ("job.failed", 2)
    assert event["data"]["error"] == {"type": "ValueError", "message": "no"}


@pytest.mark.parametrize(("kind", "type"), [("permanent", "job.failed"), ("stopped", "job.stopped")])
def test_an_end_without_success_sends_a_webhook(
    redis: Redis, queue: Queue, hooked: Records, kind: str, type: str
) -> None:
    (id,) = enqueue(queue)
    hook(redis, id)
    (execution,) = take(hooked)
    send_report(hooked, kind, execution)
    (event,) = list_sent(redis)
    ended_at = redis.hget(f"rq:job:{id}", "ended_at")
    assert (event["type"], event["timestamp"]) == (type, ended_at and ended_at.decode())


def test_a_job_lost_too_often_sends_a_webhook(redis: Redis, queue: Queue, hooked: Records) -> None:
    hook(redis, *enqueue(queue))
    for number in range(3):
        take(hooked, prefix=f"lost{number}")
        end_leases(redis)
        hooked.leases.recover()
    (event,) = list_sent(redis)
    assert (event["type"], event["data"]["error"]["type"]) == ("job.failed", "Lost")


def test_a_damaged_job_that_is_quarantined_sends_a_webhook(redis: Redis, queue: Queue, hooked: Records) -> None:
    (id,) = enqueue(queue)
    hook(redis, id)
    redis.hdel(f"rq:job:{id}", "data")
    assert take(hooked) == []
    (event,) = list_sent(redis)
    assert (event["type"], event["data"]["error"]["type"]) == ("job.failed", "DamagedJob")


def test_a_job_without_a_webhook_sends_none(redis: Redis, queue: Queue, hooked: Records) -> None:
    enqueue(queue)
    (execution,) = take(hooked)
    send_report(hooked, "finished", execution)
    assert redis.keys("*webhook*") == []


def test_without_the_job_file_nothing_is_sent(redis: Redis, queue: Queue) -> None:
    records = Records(redis, "one", LIFETIMES, Webhooks({}).values)
    hook(redis, *enqueue(queue))
    (execution,) = take(records)
    assert send_report(records, "finished", execution) == "finished"
    assert redis.keys("*webhook*") == []


def test_the_url_of_all_gets_ends_of_jobs_without_one_and_never_those_of_webhooks(redis: Redis, queue: Queue) -> None:
    records = build_with_webhooks(redis, GLOBAL)
    ids = enqueue(queue, 2)
    hook(redis, ids[0])
    for execution in take(records, 2):
        send_report(records, "finished", execution)
    assert [event["url"] for event in list_sent(redis)] == [URL, GLOBAL]
    sent = Queue("webhook", connection=redis, serializer="json").job_ids
    for execution in records.exchange([], ["w1", "w2"], ServedQueues(["webhook"], in_turn=False)).executions:
        records.exchange(
            [
                Report("failed", execution, "", "{}", 0, time.time()),
                Report("permanent", execution, "", "{}", 0, time.time()),
            ]
        )
    assert {Job.fetch(id, connection=redis, serializer="json").get_status().value for id in sent} == {"scheduled"}
    for id in sent:
        redis.hset(f"rq:job:{id}", mapping={"status": "queued", "retries_left": 0})
        redis.rpush("rq:queue:webhook", id)
    for execution in records.exchange([], ["w3", "w4"], ServedQueues(["webhook"], in_turn=False)).executions:
        send_report(records, "failed", execution)
    assert redis.zcard("errand:index:webhook:webhook") == 2


def test_a_webhook_queue_of_a_wrong_type_does_not_harm_the_end(redis: Redis, queue: Queue, hooked: Records) -> None:
    (id,) = enqueue(queue)
    hook(redis, id)
    redis.set("rq:queue:webhook", "no list")
    (execution,) = take(hooked)
    assert send_report(hooked, "finished", execution) == "finished"
    assert redis.hget(f"rq:job:{id}", "status") == b"finished"
    assert redis.keys("errand:index:webhook:*") == []


def test_a_batch_sends_a_webhook_with_its_last_end_and_not_before(redis: Redis, queue: Queue, hooked: Records) -> None:
    ids = enqueue(queue, 5)
    add_batch(redis, ids, webhook=URL)
    executions = take(hooked, 5)
    for number, execution in enumerate([executions[4], *executions[:4]]):
        assert list_sent(redis) == [], number
        send_report(hooked, "finished" if number < 3 else "permanent", execution)
    (event,) = list_sent(redis)
    assert (event["type"], event["url"], event["data"]["id"], event["data"]["type"]) == ("batch.ended", URL, "b", "x")
    assert [event["data"][report] for report in ("total", "finished", "failed", "canceled")] == [5, 3, 2, 0]


def test_a_job_of_a_batch_that_others_ended_counts(redis: Redis, queue: Queue, hooked: Records) -> None:
    ids = enqueue(queue, 3)
    add_batch(redis, ids, webhook=URL)
    executions = take(hooked, 3)
    send_report(hooked, "finished", executions[0])
    redis.hset(f"rq:job:{ids[2]}", "status", "finished")  # a plain worker notes no end in the batch
    send_report(hooked, "finished", executions[1])
    (event,) = list_sent(redis)
    assert event["data"]["finished"] == 3


def test_few_ends_of_a_batch_look_at_all_of_it(redis: Redis, queue: Queue, hooked: Records) -> None:
    ids = enqueue(queue, 300)
    add_batch(redis, ids, webhook=URL)
    executions = [execution for part in range(3) for execution in take(hooked, 100, f"e{part}-")]
    redis.config_resetstat()
    for execution in executions:
        send_report(hooked, "finished", execution)
    assert len(list_sent(redis)) == 1
    assert redis.info("commandstats")["cmdstat_hgetall"]["calls"] < 60


def test_the_url_of_all_gets_the_ends_of_batches_too(redis: Redis, queue: Queue) -> None:
    records = build_with_webhooks(redis, GLOBAL)
    ids = enqueue(queue, 2)
    add_batch(redis, ids)
    for execution in take(records, 2):
        send_report(records, "finished", execution)
    assert sorted(event["type"] for event in list_sent(redis)) == ["batch.ended", "job.finished", "job.finished"]


def test_a_schedules_runs_are_no_batch_whose_end_sends_a_webhook(redis: Redis, queue: Queue) -> None:
    hooked = build_with_webhooks(redis, GLOBAL)
    ids = enqueue(queue)
    add_batch(redis, ids, webhook="")
    (execution,) = take(hooked)
    send_report(hooked, "finished", execution)
    assert [event["type"] for event in list_sent(redis)] == ["job.finished"]
