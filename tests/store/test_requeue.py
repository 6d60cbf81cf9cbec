"""What the guarded script makes of an ended job, beside what RQ's own requeue makes of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Retry
from rq.job import Job, JobStatus
from rq.job_lifecycle import record_job_failure
from rq.utils import now

from errand.redis.memory import MemoryGuard
from errand.store.requeue import Requeuer, RequeueRefusedError
from errand.store.settings import QueueSettings
from tests.store.test_enqueue import snapshot
from tests.support.connectors import connect
from tests.support.proxies import Proxy

Use = Callable[..., Any]


@pytest.fixture
def use(queue_settings: QueueSettings) -> Use:
    """Call a Requeuer inside an event loop of its own."""

    def run(call: Callable[[Requeuer], Awaitable[Any]], url: str = queue_settings.redis_url) -> Any:
        async def main() -> Any:
            redis = connect(url)
            try:
                return await call(Requeuer(redis, MemoryGuard(redis)))
            finally:
                await redis.aclose()

        return asyncio.run(main())

    return run


async def sweep(requeuer: Requeuer, queue: str = "log") -> int:
    return sum([count async for count in requeuer.requeue_failed(queue)])


def store(redis: Redis, id: str | None = None, **options: Any) -> Job:
    """A job as plain RQ stores it, with three tries left."""
    queue = Queue("log", connection=redis, serializer="json")
    return queue.enqueue("copy.copy", 1, job_id=id, retry=Retry(3, [1, 2, 3]), failure_ttl=1000, **options)


def fail(redis: Redis, job: Job, status: str = "failed") -> str:
    """Record the job's end as RQ does once all its tries are spent; return its id."""
    job.retries_left = 0
    job.started_at = job.ended_at = now()
    with redis.pipeline() as pipeline:
        record_job_failure(job, "ValueError: no", pipeline)
        pipeline.execute()
    redis.hset(job.key, "status", status)
    redis.lrem("rq:queue:log", 0, job.id)
    return str(job.id)


def read_all(redis: Redis) -> dict[bytes, bytes]:
    return {key: redis.dump(key) for key in redis.scan_iter()}


def test_a_requeued_job_is_what_rqs_own_requeue_makes_of_it_but_fresh(redis: Redis, use: Use) -> None:
    job = store(redis)
    id = fail(redis, job)
    before = read_all(redis)
    assert use(lambda requeuer: requeuer.requeue(id)) is True
    ours = snapshot(redis)
    for key, value in before.items():
        redis.restore(key, 0, value)
    Job.fetch(id, connection=redis, serializer="json").requeue()
    rqs = snapshot(redis)
    assert ours.keys() == rqs.keys()
    ours[f"rq:job:{id}"][1].pop("errand_requeue")
    rqs[f"rq:job:{id}"][1].pop("exc_info")  # RQ writes an empty one
    assert rqs[f"rq:job:{id}"][1]["retries_left"] == b"0"  # RQ leaves it no try
    rqs[f"rq:job:{id}"][1]["retries_left"] = b"3"
    assert ours == rqs


def test_it_does_not_expire_while_it_waits(redis: Redis, use: Use) -> None:
    parent = store(redis)
    id = fail(redis, store(redis, depends_on=parent))
    store(redis, depends_on=Job.fetch(id, connection=redis, serializer="json"))
    kept = [f"rq:job:{id}", f"rq:results:{id}", f"rq:job:{id}:dependents", f"rq:job::{id}:dependencies"]
    for key in kept:
        assert redis.expire(key, 1000)
    use(lambda requeuer: requeuer.requeue(id))
    assert [redis.ttl(key) for key in kept] == [-1] * 4


def test_losses_and_the_last_attempts_notes_go_and_the_counts_stay(redis: Redis, use: Use) -> None:
    id = fail(redis, store(redis))
    fields: dict[Any, Any] = {"errand_losses": 3, "errand_error": "{}", "errand_progress": "{}", "number_of_retries": 2}
    redis.hset(f"rq:job:{id}", mapping={**fields, "errand_attempts": 4, "errand_interruptions": 1})
    use(lambda requeuer: requeuer.requeue(id))
    found = redis.hgetall(f"rq:job:{id}")
    assert not {name.encode() for name in fields} & found.keys()
    assert (found[b"errand_attempts"], found[b"errand_interruptions"], found[b"retries_left"]) == (b"4", b"1", b"3")


def test_a_job_without_retries_gets_none(redis: Redis, use: Use) -> None:
    job = Queue("log", connection=redis, serializer="json").enqueue("copy.copy", 1)
    id = fail(redis, job)
    redis.hdel(job.key, "retries_left")
    use(lambda requeuer: requeuer.requeue(id))
    assert redis.hget(job.key, "retries_left") is None


def test_its_queue_is_one_of_rqs_queues_again(redis: Redis, use: Use) -> None:
    id = fail(redis, store(redis))
    redis.delete("rq:queues")  # somebody deleted the empty queue
    use(lambda requeuer: requeuer.requeue(id))
    assert redis.smembers("rq:queues") == {b"rq:queue:log"}


def test_what_is_queued_again_is_published(redis: Redis, use: Use) -> None:
    id = fail(redis, store(redis))
    listener = redis.pubsub()
    listener.subscribe("errand:work")
    assert listener.get_message(timeout=5)
    use(lambda requeuer: requeuer.requeue(id))
    assert listener.get_message(timeout=5)["data"] == b"log"
    listener.close()


@pytest.mark.parametrize("status", ["failed", "stopped"])
def test_a_job_that_ended_without_success_is_queued_again(redis: Redis, use: Use, status: str) -> None:
    id = fail(redis, store(redis), status)
    use(lambda requeuer: requeuer.requeue(id))
    assert redis.lrange("rq:queue:log", 0, -1) == [id.encode()]
    assert redis.zcard("rq:failed:log") == 0


def test_a_canceled_job_is_queued_again(redis: Redis, use: Use) -> None:
    job = store(redis)
    job.cancel()
    use(lambda requeuer: requeuer.requeue(job.id))
    assert redis.lrange("rq:queue:log", 0, -1) == [job.id.encode()]
    assert redis.zcard("rq:canceled:log") == 0


@pytest.mark.parametrize("status", ["created", "queued", "started", "finished", "scheduled", "deferred", "nonsense"])
def test_any_other_job_is_left_as_it_is(redis: Redis, use: Use, status: str) -> None:
    id = fail(redis, store(redis), status)
    if status == "started":  # each is where it belongs: one in no list may be queued (tests/worker/test_lost.py)
        redis.zadd(f"rq:executions:{id}", {"e": "inf"})
        redis.zadd("errand:leases", {f"{id}:e": 4e12})
    elif status in ("scheduled", "deferred"):
        redis.zadd(f"rq:{status}:log", {id: 4e9})
    elif status == "queued":
        redis.rpush("rq:queue:log", id)
    before = read_all(redis)
    with pytest.raises(RequeueRefusedError, match=f"^its status is {status}$"):
        use(lambda requeuer: requeuer.requeue(id))
    assert read_all(redis) == before


def test_an_unknown_job_is_not_made(redis: Redis, use: Use) -> None:
    assert use(lambda requeuer: requeuer.requeue("5f0c7d1e-0000-4000-8000-000000000000")) is False
    assert redis.keys() == []


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("data", None, "there is no data in it"),
        ("origin", "", "it names no queue"),
        ("status", None, "it has no status"),
        ("retry_intervals", "[1,", "its retry_intervals are no list"),
        ("retry_intervals", "7", "its retry_intervals are no list"),
        ("dependency_ids", "{", "its dependency_ids are no list"),
    ],
)
def test_a_damaged_job_is_left_with_a_reason(
    redis: Redis, use: Use, field: str, value: str | None, reason: str
) -> None:
    id = fail(redis, store(redis))
    redis.hdel(f"rq:job:{id}", field)
    if value is not None:
        redis.hset(f"rq:job:{id}", field, value)
    before = read_all(redis)
    with pytest.raises(RequeueRefusedError, match=f"its record is damaged: {reason}"):
        use(lambda requeuer: requeuer.requeue(id))
    assert read_all(redis) == before


def test_a_job_that_is_no_hash_is_left_with_a_reason(redis: Redis, use: Use) -> None:
    redis.set("rq:job:x", "?")
    with pytest.raises(RequeueRefusedError, match="it is a string, no hash"):
        use(lambda requeuer: requeuer.requeue("x"))


def test_jobs_under_a_concurrency_key_come_back_through_its_limit(redis: Redis, use: Use) -> None:
    ids = [fail(redis, store(redis)) for _ in range(3)]
    for id in ids:
        redis.hset(f"rq:job:{id}", mapping={"rate_limit_key": "k", "rate_limit_concurrency": 1})
    for id in ids:
        use(lambda requeuer, id=id: requeuer.requeue(id))
    assert [redis.hget(f"rq:job:{id}", "status") for id in ids] == [b"queued", b"rate_limited", b"rate_limited"]
    assert redis.lrange("rq:queue:log", 0, -1) == [ids[0].encode()]
    assert redis.zrange("rq:rl:k:rate_limited", 0, -1) == [id.encode() for id in ids[1:]]


def test_a_requeued_job_does_not_wait_for_a_slot_that_is_still_its_own(redis: Redis, use: Use) -> None:
    id = fail(redis, store(redis))
    redis.hset(f"rq:job:{id}", mapping={"rate_limit_key": "k", "rate_limit_concurrency": 1})
    redis.zadd("rq:rl:k:allowed", {id: 1})
    use(lambda requeuer: requeuer.requeue(id))
    assert redis.hget(f"rq:job:{id}", "status") == b"queued"


@pytest.mark.valkey
def test_a_reply_that_is_lost_changes_nothing(redis: Redis, use: Use, queue_settings: QueueSettings) -> None:
    id = fail(redis, store(redis))

    async def through_a_proxy(_: Requeuer) -> tuple[bool, int]:
        with Proxy(queue_settings.redis_url) as proxy:
            proxy.lose_reply()
            async with connect(proxy.url) as client:
                answer = await Requeuer(client, MemoryGuard(client)).requeue(id)
        return answer, proxy.cuts

    assert use(through_a_proxy) == (True, 1)
    assert redis.lrange("rq:queue:log", 0, -1) == [id.encode()]


def test_it_counts_as_unended_in_its_batch(redis: Redis, use: Use) -> None:
    id = fail(redis, store(redis))
    redis.hset(f"rq:job:{id}", "errand_batch", "b")
    redis.hset("errand:batch:b", mapping={"type": "log", id: "failed"})
    use(lambda requeuer: requeuer.requeue(id))
    assert redis.hgetall("errand:batch:b") == {b"type": b"log", id.encode(): b""}


@pytest.mark.parametrize("record", [None, "expired", "damaged"])
def test_a_batch_record_that_is_gone_is_not_made_again(redis: Redis, use: Use, record: str | None) -> None:
    id = fail(redis, store(redis))
    redis.hset(f"rq:job:{id}", "errand_batch", "b")
    if record == "damaged":
        redis.set("errand:batch:b", "?")
    assert use(lambda requeuer: requeuer.requeue(id)) is True
    assert redis.type("errand:batch:b") == (b"string" if record == "damaged" else b"none")


def cancel_after(redis: Redis, status: str) -> tuple[Job, Job]:
    """A job of a given status, and one that waited for it and was canceled."""
    parent = store(redis)
    child = store(redis, depends_on=parent)
    child.cancel()
    redis.hset(parent.key, "status", status)
    return parent, child


@pytest.mark.parametrize("status", ["queued", "started", "scheduled", "deferred"])
def test_a_job_that_waits_for_another_goes_on_waiting_and_is_queued_once(redis: Redis, use: Use, status: str) -> None:
    parent, child = cancel_after(redis, status)
    redis.delete(parent.dependents_key)
    use(lambda requeuer: requeuer.requeue(child.id))
    assert (child.get_status(), redis.zcard("rq:deferred:log")) == ("deferred", 1)
    parent.set_status(JobStatus.FINISHED)
    Queue("log", connection=redis, serializer="json").enqueue_dependents(parent)
    assert redis.lrange("rq:queue:log", 0, -1).count(child.id.encode()) == 1


@pytest.mark.parametrize("status", ["failed", "canceled", "stopped"])
def test_a_job_that_waits_for_one_without_success_says_which(redis: Redis, use: Use, status: str) -> None:
    parent, child = cancel_after(redis, status)
    with pytest.raises(RequeueRefusedError, match=f"it waits for job {parent.id}, which is {status}"):
        use(lambda requeuer: requeuer.requeue(child.id))
    assert child.get_status() == "canceled"


def test_a_job_that_waited_for_one_that_is_gone_is_queued(redis: Redis, use: Use) -> None:
    parent, child = cancel_after(redis, "finished")
    parent.delete()
    use(lambda requeuer: requeuer.requeue(child.id))
    assert child.get_status() == "queued"


def test_a_canceled_job_that_is_still_running_is_left(redis: Redis, use: Use) -> None:
    job = store(redis)
    job.cancel()
    redis.zadd(f"rq:executions:{job.id}", {"execution": now().timestamp() + 60})
    with pytest.raises(RequeueRefusedError, match="still running"):
        use(lambda requeuer: requeuer.requeue(job.id))


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("errand.store.requeue.PAGE", 3)


def fail_in_order(redis: Redis, count: int, first: int = 0) -> list[str]:
    ids = [fail(redis, store(redis, f"job-{number:03}")) for number in range(first, first + count)]
    redis.zadd("rq:failed:log", {id: number for number, id in enumerate(ids, first)})
    return ids


@pytest.mark.usefixtures("small_pages")
def test_all_failed_jobs_of_a_queue_are_queued_in_the_order_in_which_they_failed(redis: Redis, use: Use) -> None:
    ids = fail_in_order(redis, 10)
    assert use(sweep) == 10
    assert redis.lrange("rq:queue:log", 0, -1) == [id.encode() for id in ids]


@pytest.mark.usefixtures("small_pages")
def test_what_did_not_fail_or_is_damaged_stops_none_of_the_others(redis: Redis, use: Use) -> None:
    ids = fail_in_order(redis, 12)
    redis.hset(f"rq:job:{ids[0]}", "status", "stopped")
    redis.hdel(f"rq:job:{ids[1]}", "data")
    redis.delete(f"rq:job:{ids[2]}", f"rq:job:{ids[3]}")
    redis.set(f"rq:job:{ids[3]}", "?")
    assert use(sweep) == 8
    assert redis.lrange("rq:queue:log", 0, -1) == [id.encode() for id in ids[4:]]
    assert redis.zrange("rq:failed:log", 0, -1) == [ids[0].encode(), ids[1].encode(), ids[3].encode()]


def test_other_queues_jobs_are_left(redis: Redis, use: Use) -> None:
    fail_in_order(redis, 2)
    assert use(lambda requeuer: sweep(requeuer, "email")) == 0
    assert redis.zcard("rq:failed:log") == 2


@pytest.mark.usefixtures("small_pages")
def test_what_fails_meanwhile_is_left(redis: Redis, use: Use) -> None:
    fail_in_order(redis, 6)

    async def main(requeuer: Requeuer) -> int:
        total = 0
        async for count in requeuer.requeue_failed("log"):
            total += count
            fail_in_order(redis, 3, first=100 + 10 * total)
        return total

    assert use(main) == 6


@pytest.mark.usefixtures("small_pages")
def test_two_at_once_queue_each_job_once(redis: Redis, use: Use) -> None:
    ids = fail_in_order(redis, 40)

    async def main(requeuer: Requeuer) -> list[int]:
        return await asyncio.gather(*(sweep(requeuer) for _ in range(3)))

    assert sum(use(main)) == 40
    assert sorted(redis.lrange("rq:queue:log", 0, -1)) == [id.encode() for id in ids]


@pytest.mark.usefixtures("small_pages")
def test_what_somebody_else_took_meanwhile_hides_none_of_the_others(redis: Redis, use: Use) -> None:
    fail_in_order(redis, 10)

    async def main(requeuer: Requeuer) -> int:
        honest, rivals = requeuer._call, [1]

        async def call_after_a_rival(*args: Any) -> list[bytes | None]:
            if rivals:
                rivals.pop()
                await honest(*args)
            return await honest(*args)

        requeuer._call = call_after_a_rival  # type: ignore[assignment,method-assign]
        return await sweep(requeuer)

    assert use(main) == 7
    assert (redis.zcard("rq:failed:log"), redis.llen("rq:queue:log")) == (0, 10)
