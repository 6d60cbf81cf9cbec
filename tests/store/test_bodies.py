"""Bodies in Redis: who holds them, how long, and how much room they may take."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis import Redis

from errand.redis import keys
from errand.redis.clock import Clock
from errand.redis.connection import BODIES
from errand.store.bodies import BodiesGoneError, BodyStore, FullBodiesError
from errand.store.delete import Deleter
from errand.store.enqueue import Enqueuer
from errand.store.new_job import NewJob, UnknownParentError
from errand.store.requeue import Requeuer
from errand.store.settings import QueueSettings
from errand.worker.maintenance.bodies import Bodies
from tests.support.connectors import build_connector, connect
from tests.support.job_types import TYPES

LONG, OTHER = "x" * 70_000, "y" * 80_000
NOBODY = "5f0c7d1e-0000-4000-8000-000000000000"


def new_job(html: str = LONG, **options: Any) -> NewJob:
    return NewJob(TYPES["email"], {"message": {"to": ["a@example.com"], "subject": "x", "html": html}}, **options)


@pytest.fixture
def store(queue_settings: QueueSettings) -> BodyStore:
    return BodyStore(build_connector(queue_settings.redis_url).connect(BODIES), Clock())


@pytest.fixture
def call(queue_settings: QueueSettings) -> Callable[[Callable[[Any], Awaitable[Any]]], Any]:
    """Call something with an asynchronous client inside an event loop of its own."""

    def run(do: Callable[[Any], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            redis = connect(queue_settings.redis_url)
            try:
                return await do(redis)
            finally:
                await redis.aclose()

        return asyncio.run(main())

    return run


@pytest.fixture
def enqueue(store: BodyStore, call: Any, queue_settings: QueueSettings) -> Callable[..., list[NewJob]]:
    """Stores jobs with what lies outside of them, as the API does."""

    def run(*jobs: NewJob) -> list[NewJob]:
        left, holder = store.put_large(jobs, 0)
        call(lambda redis: Enqueuer(redis, queue_settings, TYPES).store(left, holder=holder))
        return list(left)

    return run


def find(redis: Redis) -> list[bytes]:
    return sorted(redis.scan_iter(f"{keys.BODY}*"))


def sweep(redis: Redis, again: int = 2) -> None:
    chore = Bodies(redis)
    for _ in range(again):
        chore._looked_at = float("-inf")
        chore.run()


def test_a_job_holds_what_lies_outside_of_it(redis: Redis, enqueue: Any) -> None:
    (job,) = enqueue(new_job())
    (key,) = find(redis)
    name = key.decode().removeprefix(keys.BODY)
    assert redis.get(key) == b'"' + LONG.encode() + b'"'
    assert redis.ttl(key) == -1
    assert redis.zrange(keys.BODY_HOLDS, 0, -1) == [f"{name}:{job.id}".encode()]
    assert redis.hgetall(keys.BODIES) == {name.encode(): b"70002", b"total": b"70002"}
    assert redis.hget(f"rq:job:{job.id}", "errand_bodies") == name.encode()
    assert len(redis.hget(f"rq:job:{job.id}", "data")) < 1000


def test_jobs_that_have_the_same_share_it(redis: Redis, enqueue: Any) -> None:
    enqueue(new_job(), new_job(OTHER), new_job())
    enqueue(new_job())
    assert (len(find(redis)), redis.zcard(keys.BODY_HOLDS)) == (2, 4)
    assert int(redis.hget(keys.BODIES, "total")) == 70_002 + 80_002


def test_an_enqueue_sent_twice_holds_once(redis: Redis, store: BodyStore, call: Any, queue_settings: Any) -> None:
    left, holder = store.put_large([new_job()], 0)

    async def twice(client: Any) -> Any:
        enqueuer = Enqueuer(client, queue_settings, TYPES)
        return [await enqueuer.store(left, holder=holder) for _ in range(2)]

    assert call(twice) == [["queued"], ["queued"]]
    assert redis.zcard(keys.BODY_HOLDS) == 1


def test_an_enqueue_sent_again_after_its_job_has_finished_holds_nothing(
    redis: Redis, store: BodyStore, call: Any, queue_settings: Any
) -> None:
    left, holder = store.put_large([new_job()], 0)

    async def around_its_run(client: Any) -> Any:
        enqueuer = Enqueuer(client, queue_settings, TYPES)
        await enqueuer.store(left, holder=holder)
        redis.hset(f"rq:job:{left[0].id}", "status", "finished")
        sweep(redis)
        return await enqueuer.store(left, holder=holder)

    assert call(around_its_run) == ["finished"]
    assert find(redis) == []


def test_what_a_request_never_used_goes_after_a_while(
    redis: Redis, store: BodyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put_large([new_job()], 0)
    (key,) = find(redis)
    assert 0 < redis.ttl(key) <= keys.BODY_REQUEST_SECONDS
    sweep(redis)
    assert find(redis) == [key]
    name = key.decode().removeprefix(keys.BODY)
    holds: list[Any] = redis.zrange(keys.BODY_HOLDS, 0, -1)
    (member,) = holds
    redis.zrem(keys.BODY_HOLDS, member)
    redis.zadd(keys.BODY_HOLDS, {f"{name}:@1700000000.abc": 0})
    sweep(redis)
    assert redis.keys("errand:bod*") == []


def test_what_expired_before_it_was_used_is_counted_no_more(redis: Redis, store: BodyStore) -> None:
    store.put_large([new_job()], 0)
    redis.delete(*find(redis))
    sweep(redis)
    assert redis.exists(keys.BODIES) == 0


def test_jobs_whose_bodies_are_gone_are_not_stored(
    redis: Redis, store: BodyStore, call: Any, queue_settings: Any
) -> None:
    left, holder = store.put_large([new_job(), new_job(OTHER)], 0)
    redis.delete(find(redis)[0])
    with pytest.raises(BodiesGoneError):
        call(lambda client: Enqueuer(client, queue_settings, TYPES).store(left, holder=holder))
    assert redis.keys() == []


def test_what_is_refused_leaves_nothing_outside(redis: Redis, enqueue: Any) -> None:
    with pytest.raises(UnknownParentError):
        enqueue(new_job(after=(NOBODY,)))
    assert redis.keys() == []


def test_a_body_that_another_job_lets_go_meanwhile_stays_for_the_request_that_asked(
    redis: Redis, enqueue: Any, store: BodyStore, call: Any, queue_settings: Any
) -> None:
    (first,) = enqueue(new_job())
    left, holder = store.put_large([new_job()], 0)
    redis.hset(f"rq:job:{first.id}", "status", "finished")
    sweep(redis)
    call(lambda client: Enqueuer(client, queue_settings, TYPES).store(left, holder=holder))
    assert redis.ttl(find(redis)[0]) == -1


def test_a_body_that_is_there_is_not_sent_again(redis: Redis, enqueue: Any, store: BodyStore) -> None:
    enqueue(new_job())
    (key,) = find(redis)
    store.redis.set = None  # type: ignore[method-assign]
    store.put_large([new_job()], 0)
    assert (len(redis.get(key)), redis.ttl(key)) == (70_002, -1)


@pytest.mark.parametrize("status", ["failed", "canceled", "stopped", "queued", "scheduled", "started"])
def test_who_can_run_again_keeps_what_it_needs(redis: Redis, enqueue: Any, status: str) -> None:
    (job,) = enqueue(new_job())
    redis.hset(f"rq:job:{job.id}", "status", status)
    sweep(redis)
    assert len(find(redis)) == 1


def test_a_requeued_job_has_it_still(redis: Redis, enqueue: Any, call: Any) -> None:
    (job,) = enqueue(new_job())
    redis.lpop("rq:queue:email")
    redis.hset(f"rq:job:{job.id}", "status", "failed")
    call(
        lambda client: Requeuer(client, Enqueuer(client, QueueSettings(REDIS_URL="redis://x"), TYPES).memory).requeue(
            job.id
        )
    )
    sweep(redis)
    assert (redis.hget(f"rq:job:{job.id}", "status"), len(find(redis))) == (b"queued", 1)


@pytest.mark.parametrize("end", ["finished", "expired"])
def test_who_can_not_run_again_lets_go(redis: Redis, enqueue: Any, end: str) -> None:
    (job, other) = enqueue(new_job(), new_job())
    for one in (job, other):
        assert len(find(redis)) == 1
        if end == "expired":
            redis.delete(f"rq:job:{one.id}")
        else:
            redis.hset(f"rq:job:{one.id}", "status", "finished")
        sweep(redis)
    assert redis.keys("errand:bod*") == []


def test_a_deleted_job_lets_go_at_once(redis: Redis, enqueue: Any, call: Any, queue_settings: QueueSettings) -> None:
    first, second = enqueue(new_job(), new_job())
    call(lambda client: Deleter(client, queue_settings).delete(first.id))
    assert len(find(redis)) == 1
    call(lambda client: Deleter(client, queue_settings).delete(second.id))
    assert redis.keys("errand:bod*") == []


def test_many_are_swept_some_at_a_time(redis: Redis, enqueue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("errand.worker.maintenance.bodies.PAGE", 3)
    jobs = enqueue(*(new_job(f"{LONG}{number % 4}") for number in range(10)))
    for job in jobs[:9]:
        redis.hset(f"rq:job:{job.id}", "status", "finished")
    sweep(redis, again=5)
    assert (redis.zcard(keys.BODY_HOLDS), len(find(redis))) == (1, 1)


def test_together_they_take_a_quarter_of_maxmemory_at_most(redis: Redis, store: BodyStore) -> None:
    store.put_large([new_job()], 500_000)
    with pytest.raises(FullBodiesError, match=r"0\.1 of 0\.1 MB, 25% of") as caught:
        store.put_large([new_job(OTHER)], 500_000)
    assert not caught.value.is_hopeless
    assert (len(find(redis)), redis.zcard(keys.BODY_HOLDS)) == (1, 1)
    store.put_large([new_job()], 500_000)  # the same takes no more
    with pytest.raises(FullBodiesError) as caught:
        store.put_large([new_job(OTHER)], 300_000)
    assert caught.value.is_hopeless


def test_without_a_limit_they_have_none(redis: Redis, store: BodyStore) -> None:
    store.put_large([new_job(), new_job(OTHER)], 0)
    assert len(find(redis)) == 2


def test_an_ordinary_job_has_nothing_of_it(redis: Redis, enqueue: Any) -> None:
    enqueue(new_job("short"))
    assert redis.keys("errand:bod*") == []
