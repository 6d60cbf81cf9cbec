"""What the guarded script writes, beside what RQ's own store writes."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Retry
from rq.job import Job as RQJob
from rq.registry import ScheduledJobRegistry

from errand import Job
from errand.store.enqueue import Enqueuer
from errand.store.new_job import NewJob, UnknownParentError
from errand.store.settings import QueueSettings
from tests.support.connectors import connect
from tests.support.job_types import TYPES

EMAIL = {"message": {"to": ["ada@example.com"], "subject": "Hello", "text": "It works."}}
TIMES = ("created_at", "enqueued_at")

Use = Callable[[Callable[[Enqueuer], Awaitable[Any]]], Any]


@pytest.fixture
def use(queue_settings: QueueSettings) -> Use:
    """Call an Enqueuer inside an event loop of its own."""

    def run(call: Callable[[Enqueuer], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            redis = connect(queue_settings.redis_url)
            try:
                return await call(Enqueuer(redis, queue_settings, TYPES))
            finally:
                await redis.aclose()

        return asyncio.run(main())

    return run


def snapshot(redis: Redis) -> dict[str, Any]:
    """Return every key but our own with its type, content and lifetime; instead of times that they are there."""
    content: dict[str, Any] = {}
    for key in sorted(redis.scan_iter()):
        if key.startswith(b"errand:"):
            continue
        kind = redis.type(key).decode()
        match kind:
            case "hash":
                value: Any = {name.decode(): field for name, field in redis.hgetall(key).items()}
                value |= {name: "a time" for name in TIMES if name in value}
                if "data" in value:  # packed in a smaller window than RQ's
                    value["data"] = zlib.decompress(value["data"])
            case "list":
                value = redis.lrange(key, 0, -1)
            case "set":
                value = redis.smembers(key)
            case "zset":
                # A deferred job's score is the time it was stored.
                value = redis.zrange(key, 0, -1, withscores=b"deferred" not in key)
        content[key.decode()] = (kind, value, redis.ttl(key))
    redis.flushall()
    return content


def enqueue_by_rq(redis: Redis, job: Job[..., Any], payload: dict[str, Any], id: str, **options: Any) -> RQJob:
    """Store a job as somebody with RQ alone would."""
    stored = Queue(job.queue.name, connection=redis, serializer="json").enqueue_call(
        job.path,
        kwargs=payload,
        timeout=job.timeout_seconds,
        result_ttl=24 * 3600,
        failure_ttl=30 * 24 * 3600,
        description=job.type,
        retry=Retry(job.retry.retries, job.retry.draw_seconds()),
        job_id=id,
        **options,
    )
    keep_policy(redis, job, stored)
    return stored


def keep_policy(redis: Redis, job: Job[..., Any], stored: RQJob) -> None:
    """Give a job that RQ has stored the field of ours for which RQ has none."""
    if job.retry.policy:
        redis.hset(stored.key, "errand_backoff", job.retry.policy)


@pytest.fixture
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)


@pytest.mark.usefixtures("_no_jitter")
def test_a_queued_job_is_field_by_field_what_enqueue_call_writes(redis: Redis, use: Use) -> None:
    new = NewJob(TYPES["email"], EMAIL)
    use(lambda enqueuer: enqueuer.store([new]))
    ours = snapshot(redis)
    enqueue_by_rq(redis, TYPES["email"], EMAIL, new.id)
    assert ours == snapshot(redis)


@pytest.mark.usefixtures("_no_jitter")
def test_a_waiting_job_is_field_by_field_what_depends_on_writes(redis: Redis, use: Use) -> None:
    first = NewJob(TYPES["email"], EMAIL)
    second = NewJob(TYPES["log"], {"text": "then"}, after=(first.id,))
    use(lambda enqueuer: enqueuer.store([first, second]))
    ours = snapshot(redis)
    enqueue_by_rq(redis, TYPES["email"], EMAIL, first.id)
    enqueue_by_rq(redis, TYPES["log"], {"text": "then"}, second.id, depends_on=[first.id])
    assert ours == snapshot(redis)


@pytest.mark.usefixtures("_no_jitter")
def test_a_delayed_job_is_field_by_field_what_enqueue_at_writes(redis: Redis, use: Use) -> None:
    run_at = datetime(2030, 1, 1, 12, tzinfo=UTC)
    new = NewJob(TYPES["log"], {"text": "later"}, run_at=run_at)
    use(lambda enqueuer: enqueuer.store([new]))
    ours = snapshot(redis)
    job = TYPES["log"]
    stored = Queue("log", connection=redis, serializer="json").enqueue_at(
        run_at,
        job.path,
        kwargs={"text": "later"},
        job_timeout=job.timeout_seconds,
        result_ttl=24 * 3600,
        failure_ttl=30 * 24 * 3600,
        description="log",
        retry=Retry(job.retry.retries, job.retry.draw_seconds()),
        job_id=new.id,
    )
    keep_policy(redis, job, stored)
    assert ours == snapshot(redis)


def test_an_enqueue_sent_twice_is_one_job(redis: Redis, use: Use) -> None:
    new = NewJob(TYPES["email"], EMAIL)

    async def twice(enqueuer: Enqueuer) -> list[list[str]]:
        return [await enqueuer.store([new]), await enqueuer.store([new])]

    assert use(twice) == [["queued"], ["queued"]]
    assert redis.lrange("rq:queue:email", 0, -1) == [new.id.encode()]


def test_an_enqueue_sent_again_after_the_job_ran_changes_nothing(redis: Redis, use: Use) -> None:
    new = NewJob(TYPES["email"], EMAIL)
    use(lambda enqueuer: enqueuer.store([new]))
    redis.lpop("rq:queue:email")
    redis.hset(f"rq:job:{new.id}", "status", "finished")
    assert use(lambda enqueuer: enqueuer.store([new])) == ["finished"]
    assert redis.llen("rq:queue:email") == 0


def test_a_lost_script_is_loaded_and_sent_again(redis: Redis, use: Use) -> None:
    async def store_around_a_flush(enqueuer: Enqueuer) -> list[list[str]]:
        first = await enqueuer.store([NewJob(TYPES["email"], EMAIL)])
        redis.script_flush()
        return [first, await enqueuer.store([NewJob(TYPES["email"], EMAIL)])]

    assert use(store_around_a_flush) == [["queued"], ["queued"]]


def test_a_job_after_an_unknown_one_is_refused_and_nothing_is_stored(redis: Redis, use: Use) -> None:
    good = NewJob(TYPES["email"], EMAIL)
    orphan = NewJob(TYPES["log"], {"text": "then"}, after=("5f0c7d1e-0000-4000-8000-000000000000",))
    with pytest.raises(UnknownParentError, match="5f0c7d1e"):
        use(lambda enqueuer: enqueuer.store([good, orphan]))
    assert redis.keys() == []


@pytest.mark.parametrize(
    ("parent", "child"),
    [("finished", "queued"), ("failed", "canceled"), ("canceled", "canceled"), ("started", "deferred")],
)
def test_a_job_after_one_that_has_run_goes_by_how_that_ended(redis: Redis, use: Use, parent: str, child: str) -> None:
    first = NewJob(TYPES["email"], EMAIL)
    use(lambda enqueuer: enqueuer.store([first]))
    redis.hset(f"rq:job:{first.id}", "status", parent)
    second = NewJob(TYPES["log"], {"text": "then"}, after=(first.id,))
    assert use(lambda enqueuer: enqueuer.store([second])) == [child]
    assert redis.llen("rq:queue:log") == (child == "queued")
    assert redis.zcard("rq:canceled:log") == (child == "canceled")
    assert (redis.ttl(f"rq:job:{second.id}") > 0) == (child == "canceled")  # RQ keeps canceled jobs for ever


def test_jobs_that_are_alike_go_each_by_its_own_time_and_parents(redis: Redis, use: Use) -> None:
    now = datetime.now(UTC)
    first, plain = (NewJob(TYPES["log"], {"text": "x"}, created_at=now) for _ in range(2))
    child = NewJob(TYPES["log"], {"text": "x"}, after=(first.id,), created_at=now)
    later = NewJob(TYPES["log"], {"text": "x"}, run_at=now + timedelta(hours=1), created_at=now)
    stored = use(lambda enqueuer: enqueuer.store([first, child, later, plain]))
    assert stored == ["queued", "deferred", "scheduled", "queued"]
    assert redis.lrange("rq:queue:log", 0, -1) == [first.id.encode(), plain.id.encode()]


def test_a_fraction_of_a_second_is_rounded_up(redis: Redis, use: Use) -> None:
    run_at = datetime.now(UTC).replace(microsecond=1) + timedelta(hours=1)
    new = NewJob(TYPES["log"], {"text": "later"}, run_at=run_at)
    use(lambda enqueuer: enqueuer.store([new]))
    due = redis.zscore(ScheduledJobRegistry("log", connection=redis).key, new.id)
    assert 0 < due - run_at.timestamp() <= 1


def test_what_makes_work_ready_is_published(redis: Redis, use: Use) -> None:
    listener = redis.pubsub()
    listener.subscribe("errand:work")
    assert listener.get_message(timeout=5)
    use(lambda enqueuer: enqueuer.store([NewJob(TYPES["email"], EMAIL), NewJob(TYPES["email"], EMAIL)]))
    assert listener.get_message(timeout=5)["data"] == b"email"
    assert listener.get_message(timeout=0.1) is None
    listener.close()


def test_a_thousand_jobs_are_stored_in_order(redis: Redis, use: Use) -> None:
    new = [NewJob(TYPES["log"], {"text": str(number)}) for number in range(1000)]
    use(lambda enqueuer: enqueuer.store(new))
    assert redis.lrange("rq:queue:log", 0, -1) == [job.id.encode() for job in new]


def test_rq_reads_what_was_stored(redis: Redis, use: Use) -> None:
    new = NewJob(TYPES["email"], EMAIL)
    use(lambda enqueuer: enqueuer.store([new]))
    job = RQJob.fetch(new.id, connection=redis, serializer="json")
    assert (job.func_name, job.kwargs, job.timeout, job.retries_left) == ("jobs.email.run.perform", EMAIL, 300, 115)
