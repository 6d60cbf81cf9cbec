"""Jobs stored under a claim: once, however often and by however many that is asked for."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis

from errand.store.enqueue import Enqueuer
from errand.store.idempotency import Claim, IdempotencyRecord, StoredBeforeError
from errand.store.new_job import NewJob, UnknownParentError
from errand.store.settings import QueueSettings
from tests.support.connectors import connect
from tests.support.job_types import LOG, TYPES
from tests.support.proxies import Proxy

CLAIM = Claim("ops", "order-7", "f" * 64)
BATCH = "5f0c7d1e-0000-4000-8000-000000000000"


def new_job(**options: Any) -> NewJob:
    return NewJob(LOG, {"text": "x"}, **{"created_at": datetime.now(UTC), **options})


async def try_store(enqueuer: Enqueuer, job: NewJob, claim: Claim = CLAIM) -> IdempotencyRecord | list[str]:
    """Return the statuses, or what an earlier request stored."""
    try:
        return await enqueuer.store([job], claim=claim)
    except StoredBeforeError as error:
        return error.stored


@pytest.fixture
def use(queue_settings: QueueSettings) -> Callable[[Callable[[Enqueuer], Awaitable[Any]]], Any]:
    """Call an Enqueuer inside an event loop of its own."""

    def run(call: Callable[[Enqueuer], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            async with connect(queue_settings.redis_url) as redis:
                return await call(Enqueuer(redis, queue_settings, TYPES))

        return asyncio.run(main())

    return run


def test_of_fifty_at_once_one_stores_and_the_others_find_what_it_stored(redis: Redis, use: Any) -> None:
    jobs = [new_job() for _ in range(50)]

    async def race(enqueuer: Enqueuer) -> list[IdempotencyRecord | list[str]]:
        return await asyncio.gather(*(try_store(enqueuer, job) for job in jobs))

    answers = use(race)
    (stored,) = redis.lrange("rq:queue:log", 0, -1)
    first = next(job for job in jobs if job.id == stored.decode())
    assert answers[jobs.index(first)] == ["queued"]
    found = IdempotencyRecord(first.id, first.created_at, None, "queued", CLAIM.fingerprint)
    assert [answer for answer in answers if answer != ["queued"]] == [found] * 49
    assert len(redis.keys("rq:job:*")) == 1


@pytest.mark.valkey
def test_the_record_is_small_and_kept_for_a_day(redis: Redis, use: Any) -> None:
    jobs = [new_job(batch=BATCH) for _ in range(1000)]
    use(lambda enqueuer: enqueuer.store(jobs, (BATCH, "log"), CLAIM))
    assert redis.ttl(CLAIM.record) == 24 * 3600
    assert len(redis.get(CLAIM.record)) < 300
    assert json.loads(redis.get(CLAIM.record))["id"] == BATCH


def test_what_was_found_says_when_the_job_is_due(redis: Redis, use: Any) -> None:
    run_at = datetime.now(UTC).replace(microsecond=1) + timedelta(hours=1)
    first = new_job(run_at=run_at)
    assert use(lambda enqueuer: try_store(enqueuer, first)) == ["scheduled"]
    found = use(lambda enqueuer: try_store(enqueuer, new_job(run_at=run_at + timedelta(hours=1))))
    assert (found.status, found.run_at, found.created_at) == ("scheduled", first.due_at, first.created_at)


def test_each_caller_has_keys_of_its_own(redis: Redis, use: Any) -> None:
    for caller in ("ops", "ci"):
        claim = Claim(caller, "order-7", "f" * 64)
        assert use(lambda enqueuer, claim=claim: try_store(enqueuer, new_job(), claim)) == ["queued"]
    assert redis.llen("rq:queue:log") == 2


def test_a_found_job_wakes_nobody(redis: Redis, use: Any) -> None:
    use(lambda enqueuer: try_store(enqueuer, new_job()))
    listener = redis.pubsub()
    listener.subscribe("errand:work")
    assert listener.get_message(timeout=5)
    use(lambda enqueuer: try_store(enqueuer, new_job()))
    assert listener.get_message(timeout=0.1) is None
    listener.close()


def test_refused_jobs_leave_no_record(redis: Redis, use: Any) -> None:
    with pytest.raises(UnknownParentError):
        use(lambda enqueuer: enqueuer.store([new_job(after=(BATCH,))], claim=CLAIM))
    assert redis.keys() == []


@pytest.mark.valkey
def test_without_a_claim_there_is_no_record_and_none_is_looked_for(redis: Redis, use: Any) -> None:
    redis.config_resetstat()
    use(lambda enqueuer: enqueuer.store([new_job()]))
    listed = [b"errand:index:log:log", b"errand:indexes"]
    assert sorted(redis.keys("*")) == sorted([*redis.keys("rq:job:*"), *listed, b"rq:queue:log", b"rq:queues"])
    assert "cmdstat_get" not in redis.info("commandstats")


@pytest.mark.valkey
def test_a_claim_is_one_round_trip(redis: Redis, use: Any) -> None:
    async def count(enqueuer: Enqueuer) -> int:
        await enqueuer.store([new_job()])
        redis.config_resetstat()
        await enqueuer.store([new_job()], claim=CLAIM)
        return int(redis.info("commandstats")["cmdstat_evalsha"]["calls"])

    assert use(count) == 1


@pytest.mark.valkey
@pytest.mark.parametrize("batch", [None, (BATCH, "log")])
def test_a_lost_reply_is_not_taken_for_an_earlier_request(
    redis: Redis, queue_settings: QueueSettings, batch: tuple[str, str] | None
) -> None:
    new = new_job(batch=BATCH if batch else None)

    async def main() -> tuple[list[str], int]:
        with Proxy(queue_settings.redis_url) as proxy:
            proxy.lose_reply()
            async with connect(proxy.url) as client:
                statuses = await Enqueuer(client, queue_settings, TYPES).store([new], batch, CLAIM)
        return statuses, proxy.cuts

    assert asyncio.run(main()) == (["queued"], 1)
    assert redis.lrange("rq:queue:log", 0, -1) == [new.id.encode()]


def test_a_call_sent_again_after_the_job_ran_and_expired_answers_as_at_first(redis: Redis, use: Any) -> None:
    new = new_job()
    use(lambda enqueuer: try_store(enqueuer, new))
    redis.lpop("rq:queue:log")
    redis.delete(f"rq:job:{new.id}")
    assert use(lambda enqueuer: try_store(enqueuer, new)) == ["queued"]
    assert redis.llen("rq:queue:log") == 0


def test_a_batch_that_is_sent_again_under_its_claim_has_its_own_answer(redis: Redis, use: Any) -> None:
    jobs = [new_job(batch=BATCH) for _ in range(2)]
    for _ in range(2):
        assert use(lambda enqueuer: enqueuer.store(jobs, (BATCH, "log"), CLAIM)) == ["queued", "queued"]
    assert redis.llen("rq:queue:log") == 2
