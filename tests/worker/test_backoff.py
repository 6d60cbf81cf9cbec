"""Jobs with more tries than a record lists, or with hours: what is stored, and when they are tried again."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job as RQJob
from starlette.testclient import TestClient

from errand import Backoff, job
from errand.api.settings import ApiSettings
from errand.contract.job import Job
from errand.redis.lua.loader import read_script
from errand.store.requeue import build_args
from errand.store.settings import QueueSettings
from errand.webhook.webhooks import Webhooks
from errand.worker.records import Records
from tests.support.connectors import create_app
from tests.support.job_types import LOG, WEBHOOK
from tests.worker.scripts import LIFETIMES, build_records, end_leases, enqueue, read, send_report, take

Post = Callable[..., str]
HOUR = 3600


def build_type(retry: Backoff) -> Job[..., Any]:
    @job(retry=retry)
    def run() -> None:
        """Do nothing."""

    return run.adopt("jobs.idle")


@pytest.fixture
def post(queue_settings: QueueSettings) -> Post:
    """Posts a job with such a policy; returns its id."""

    def call(retry: Backoff) -> str:
        app = create_app(ApiSettings(ERRAND_LOCAL=True), queue_settings, {"idle": build_type(retry)})
        with TestClient(app, base_url="http://localhost") as client:
            answer = client.post("/v1/jobs/idle", json={})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    return call


def fail(redis: Redis, records: Records, id: str) -> tuple[str, float]:
    """Let a job's next try fail; return the answer, and in how many seconds it is tried again."""
    if redis.zrem("rq:scheduled:default", id):
        redis.hset(f"rq:job:{id}", "status", "queued")
        redis.rpush("rq:queue:default", id)
    (execution,) = take(records, prefix=f"e{time.monotonic_ns()}")
    answer = send_report(records, "failed", execution)
    due = redis.zscore("rq:scheduled:default", id)
    return answer, (due or 0) - time.time()


def test_a_post_with_a_hundred_thousand_tries_stores_one_wait(redis: Redis, post: Post) -> None:
    id = post(Backoff(tries=100_000, cap_seconds=HOUR))
    assert read(redis, id, "retries_left", "retry_intervals") == [b"99999", b"[3600]"]
    assert json.loads(redis.hget(f"rq:job:{id}", "errand_backoff")) == {"retries": 99999, "base": 2.0, "cap": HOUR}


def test_a_million_tries_are_drawn_in_no_time() -> None:
    started = time.perf_counter()
    retry = Backoff(tries=1_000_000)
    assert retry.draw_seconds() == [3600]
    assert retry.ceilings_seconds == []
    assert time.perf_counter() - started < 0.01


def test_what_a_record_can_list_is_listed_as_ever(redis: Redis, post: Post) -> None:
    id = post(Backoff(tries=51))
    assert len(json.loads(redis.hget(f"rq:job:{id}", "retry_intervals"))) == 50
    assert read(redis, id, "retries_left", "errand_backoff") == [b"50", None]


def test_each_wait_is_drawn_when_a_try_has_failed(redis: Redis, records: Records, post: Post) -> None:
    waits = []
    for _ in range(20):
        redis.flushall()
        id = post(Backoff(tries=100, base_seconds=64, cap_seconds=600))
        found = []
        for _ in range(6):
            answer, wait = fail(redis, records, id)
            assert answer == "scheduled"
            found.append(wait)
        waits.append(found)
        assert read(redis, id, "retries_left") == [b"93"]
    for n, ceiling in enumerate([64, 128, 256, 512, 600, 600]):
        drawn = [found[n] for found in waits]
        assert all(0 < wait <= ceiling + 1.1 for wait in drawn)
        assert max(drawn) > ceiling / 2
        assert len({round(wait) for wait in drawn}) > 5


def test_the_last_try_is_the_last(redis: Redis, records: Records, post: Post) -> None:
    id = post(Backoff(tries=100, base_seconds=1))
    redis.hset(f"rq:job:{id}", "retries_left", 1)
    assert fail(redis, records, id)[0] == "scheduled"
    assert fail(redis, records, id)[0] == "failed"


def test_hours_count_from_the_first_start_whatever_the_tries(redis: Redis, records: Records, post: Post) -> None:
    id = post(Backoff(hours=48, base_seconds=HOUR))
    assert read(redis, id, "retries_left") == [b"172800"]
    assert fail(redis, records, id)[0] == "scheduled"
    first = float(redis.hget(f"rq:job:{id}", "errand_first_start") or 0)
    assert abs(first - time.time()) < 5
    redis.hset(f"rq:job:{id}", "errand_first_start", first - 47.9 * HOUR)
    answer, wait = fail(redis, records, id)
    assert answer == "scheduled"
    assert wait <= 0.1 * HOUR + 1  # the last try comes as they end, in whole seconds
    redis.hset(f"rq:job:{id}", "errand_first_start", first - 48.1 * HOUR)
    assert fail(redis, records, id)[0] == "failed"
    assert read(redis, id, "status", "retries_left") == [b"failed", b"0"]


def test_tries_may_end_before_the_hours(redis: Redis, records: Records, post: Post) -> None:
    id = post(Backoff(tries=2, hours=48))
    assert [fail(redis, records, id)[0] for _ in range(2)] == ["scheduled", "failed"]


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_start_that_is_lost_or_interrupted_is_the_first_as_well(
    redis: Redis, records: Records, post: Post, is_lost: bool
) -> None:
    id = post(Backoff(hours=1))
    (execution,) = take(records)
    if is_lost:
        end_leases(redis)
        build_records(redis, "two").leases.recover()
    else:
        records.leases.release("interrupted")
    first = float(redis.hget(f"rq:job:{id}", "errand_first_start") or 0)
    assert first == pytest.approx(execution.started, abs=1e-5)
    fail(redis, records, id)
    assert float(redis.hget(f"rq:job:{id}", "errand_first_start") or 0) == first


def test_a_requeue_begins_anew(redis: Redis, records: Records, post: Post) -> None:
    id = post(Backoff(tries=100, hours=48))
    fail(redis, records, id)
    redis.hset(f"rq:job:{id}", "errand_first_start", 1)
    assert fail(redis, records, id)[0] == "failed"
    assert redis.register_script(read_script("store/requeue"))(args=build_args([id], ["failed"])) == [b""]
    assert read(redis, id, "status", "retries_left", "errand_first_start") == [b"queued", b"99", None]
    assert fail(redis, records, id)[0] == "scheduled"


def test_a_job_stored_before_keeps_its_list(redis: Redis, queue: Queue, records: Records) -> None:
    (id,) = enqueue(queue)
    redis.hset(f"rq:job:{id}", mapping={"retries_left": 2, "retry_intervals": "[100, 200]"})
    for ceiling in (100, 200):
        answer, wait = fail(redis, records, id)
        assert answer == "scheduled"
        assert ceiling - 1 < wait < ceiling + 2
    assert fail(redis, records, id)[0] == "failed"


def test_a_policy_that_cant_be_read_leaves_the_list(redis: Redis, records: Records, post: Post) -> None:
    id = post(Backoff(tries=100, cap_seconds=300))
    redis.hset(f"rq:job:{id}", "errand_backoff", "{")
    answer, wait = fail(redis, records, id)
    assert answer == "scheduled"
    assert 299 < wait < 302


def test_a_plain_worker_waits_for_the_cap_each_time(redis: Redis, post: Post) -> None:
    id = post(Backoff(tries=100, cap_seconds=300))
    stored = RQJob.fetch(id, redis, "json")
    for left in (99, 50, 1):
        stored.retries_left = left
        assert stored.get_retry_interval() == 300


def test_a_webhook_may_have_as_many_tries(redis: Redis, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRETS", "whsec_" + "A" * 32)
    webhook = Job(WEBHOOK.function, "jobs.webhook", WEBHOOK.options)
    monkeypatch.setattr(webhook, "retry", Backoff(tries=100_000, hours=48))
    records = build_records(redis)
    records = Records(redis, "one", LIFETIMES, Webhooks({"log": LOG, "webhook": webhook}).values)
    (id,) = enqueue(queue)
    redis.hset(f"rq:job:{id}", "errand_webhook", "https://example.com/hooks")
    send_report(records, "finished", take(records)[0])
    (sent,) = redis.lrange("rq:queue:webhook", 0, -1)
    stored = read(redis, sent.decode(), "retries_left", "retry_intervals", "errand_backoff")
    assert stored[:2] == [b"99999", b"[3600]"]
    assert json.loads(stored[2] or b"") == {"retries": 99999, "base": 2.0, "cap": 3600.0, "seconds": 48 * HOUR}
