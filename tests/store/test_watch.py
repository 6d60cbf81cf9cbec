"""Watching over one subscription: what a client hears, when Redis is away, and what is left behind."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import pytest
from redis import Redis
from redis.asyncio.client import PubSub

from errand.local.valkey import EmbeddedValkey
from errand.redis import keys
from errand.store.batch import BatchReader, BatchStatus
from errand.store.enqueue import Enqueuer
from errand.store.new_job import NewJob, derive_ids
from errand.store.settings import QueueSettings
from errand.store.status import JobStatus, StatusReader
from errand.store.watch import watcher as watch
from errand.store.watch.members import Members
from errand.store.watch.watcher import Watcher
from tests.support.connectors import connect
from tests.support.job_types import LOG, TYPES
from tests.support.services import Services
from tests.support.waiting import wait_async

BATCH = "5f0c7d1e-0000-4000-8000-000000000000"
Test = Callable[[Watcher, StatusReader, Enqueuer], Awaitable[None]]


def run(settings: QueueSettings, test: Test) -> None:
    async def main() -> None:
        redis = connect(settings.redis_url)
        jobs = StatusReader(redis)
        watcher = Watcher(redis, jobs, BatchReader(redis, settings))
        try:
            await test(watcher, jobs, Enqueuer(redis, settings, TYPES))
        finally:
            await watcher.close()
            await redis.aclose()

    asyncio.run(main())


async def store(enqueuer: Enqueuer, jobs: StatusReader) -> JobStatus:
    new = NewJob(LOG, {"text": "x"})
    await enqueuer.store([new])
    job = await jobs.read(new.id)
    assert job is not None
    return job


def count_subscriptions(redis: Redis) -> int:
    return int(redis.pubsub_numsub(keys.EVENTS)[0][1])


def test_a_published_id_is_read_at_once(
    queue_settings: QueueSettings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 60)

    async def test(watcher: Watcher, jobs: StatusReader, enqueuer: Enqueuer) -> None:
        job = await store(enqueuer, jobs)
        with watcher.watch_job(job) as watched:
            await wait_async(lambda: count_subscriptions(redis))
            redis.hset(f"rq:job:{job.id}", "status", "started")
            for _ in range(10):  # the subscription is there, and who reads it may still be on its way
                redis.publish(keys.EVENTS, f"no-such-id {job.id}")
                if await watched.wait(1):
                    break
            assert watched.state is not None
            assert watched.state.status == "started"

    run(queue_settings, test)


def test_what_nobody_publishes_is_found_by_the_poll(queue_settings: QueueSettings, redis: Redis) -> None:
    async def test(watcher: Watcher, jobs: StatusReader, enqueuer: Enqueuer) -> None:
        job = await store(enqueuer, jobs)
        with watcher.watch_job(job) as watched:
            redis.hset(f"rq:job:{job.id}", "status", "started")
            await wait_async(lambda: watched.state is not None and watched.state.status == "started")
            redis.delete(f"rq:job:{job.id}")
            await wait_async(lambda: watched.state is None)

    run(queue_settings, test)


def test_a_job_that_does_not_change_is_read_once(
    queue_settings: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.02)

    async def test(watcher: Watcher, jobs: StatusReader, enqueuer: Enqueuer) -> None:
        job = await store(enqueuer, jobs)
        with watcher.watch_job(job) as watched:
            assert await watched.wait(5)
            assert not await watched.wait(0.5)

    run(queue_settings, test)


@pytest.mark.valkey
def test_all_watches_share_one_subscription_which_ends_with_the_last(
    queue_settings: QueueSettings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LINGER_POLLS", 2)

    async def test(watcher: Watcher, jobs: StatusReader, enqueuer: Enqueuer) -> None:
        job, other = await store(enqueuer, jobs), await store(enqueuer, jobs)
        with watcher.watch_job(job), watcher.watch_job(job), watcher.watch_job(other):
            await wait_async(lambda: count_subscriptions(redis))
            assert count_subscriptions(redis) == 1
        await wait_async(lambda: not count_subscriptions(redis))
        with watcher.watch_job(job):
            await wait_async(lambda: count_subscriptions(redis))

    run(queue_settings, test)


def test_a_subscription_that_is_cut_comes_back(queue_settings: QueueSettings, redis: Redis) -> None:
    async def test(watcher: Watcher, jobs: StatusReader, enqueuer: Enqueuer) -> None:
        job = await store(enqueuer, jobs)
        with watcher.watch_job(job) as watched:
            await wait_async(lambda: count_subscriptions(redis))
            redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            redis.hset(f"rq:job:{job.id}", "status", "started")
            await wait_async(lambda: watched.state is not None and watched.state.status == "started")
            await wait_async(lambda: count_subscriptions(redis))

    run(queue_settings, test)


def test_a_redis_that_restarts_loses_no_end(own_valkey: EmbeddedValkey) -> None:
    async def test(watcher: Watcher, jobs: StatusReader, enqueuer: Enqueuer) -> None:
        job = await store(enqueuer, jobs)
        with watcher.watch_job(job) as watched:
            await asyncio.sleep(0.6)
            await asyncio.to_thread(own_valkey.stop)
            await asyncio.sleep(1)
            await asyncio.to_thread(own_valkey.start)
            with Redis.from_url(own_valkey.url) as redis:
                redis.hset(f"rq:job:{job.id}", "status", "canceled")
                await wait_async(lambda: watched.state is not None and watched.state.status == "canceled")
                await wait_async(lambda: count_subscriptions(redis))

    run(QueueSettings(REDIS_URL=own_valkey.url), test)


def test_a_damaged_record_holds_up_nobody_else(queue_settings: QueueSettings, redis: Redis) -> None:
    async def test(watcher: Watcher, jobs: StatusReader, enqueuer: Enqueuer) -> None:
        broken, job = await store(enqueuer, jobs), await store(enqueuer, jobs)
        with watcher.watch_job(broken), watcher.watch_job(job) as watched:
            redis.hset(f"rq:job:{broken.id}", "errand_progress", "{")
            await asyncio.sleep(0.7)
            redis.hset(f"rq:job:{job.id}", "status", "started")
            await wait_async(lambda: watched.state is not None and watched.state.status == "started")

    run(queue_settings, test)


def test_a_poll_counts_so_many_jobs_of_batches_and_each_batch_has_its_turn(
    queue_settings: QueueSettings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(watch, "BATCHED_AT_ONCE", 1)

    async def test(watcher: Watcher, jobs: StatusReader, enqueuer: Enqueuer) -> None:
        reader = BatchReader(connect(queue_settings.redis_url), queue_settings)
        batches = []
        for number in range(3):
            id = f"5f0c7d1e-0000-4000-8000-00000000000{number}"
            new = NewJob(LOG, {"text": "x"}, batch=id)
            await enqueuer.store([new], (id, "log"))
            batches.append((new.id, await reader.read(id)))
        with ExitStack() as stack:
            watches = [stack.enter_context(watcher.watch_batch(batch)) for _, batch in batches]
            for id, _ in batches:
                redis.hset(f"rq:job:{id}", "status", "canceled")
            for watched in watches:
                await wait_async(lambda watched=watched: watched.state.ended == 1)

    run(queue_settings, test)


def test_a_cancellation_that_redis_py_swallows_holds_up_no_close(
    queue_settings: QueueSettings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    swallowed = []

    async def ping(channel: PubSub) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            swallowed.append(channel)
            if len(swallowed) > 1:
                raise

    monkeypatch.setattr(watch, "PING_SECONDS", 0.05)
    monkeypatch.setattr(PubSub, "ping", ping)

    async def test(watcher: Watcher, jobs: StatusReader, enqueuer: Enqueuer) -> None:
        monkeypatch.setattr(PubSub, "get_message", lambda channel, timeout: asyncio.sleep(timeout))
        with watcher.watch_job(await store(enqueuer, jobs)):
            await wait_async(lambda: count_subscriptions(redis))
            await asyncio.sleep(0.2)
            async with asyncio.timeout(5):
                await watcher.close()
        assert swallowed

    run(queue_settings, test)


def test_a_stop_ends_every_wait(queue_settings: QueueSettings) -> None:
    async def test(watcher: Watcher, jobs: StatusReader, enqueuer: Enqueuer) -> None:
        job = await store(enqueuer, jobs)
        with watcher.watch_job(job) as watched:
            asyncio.get_running_loop().call_later(0.1, watcher.stop)
            assert await watched.wait(10)
            assert watcher.is_stopping

    run(queue_settings, test)


def test_nothing_is_published_while_nobody_watches(services: Services, redis: Redis) -> None:
    services.start_api()
    services.start_worker()
    with redis.monitor() as monitor:
        services.wait_for(services.post("sleep", {"seconds": 0.3}))
        redis.set("seen", 1)
        commands = []
        for heard in monitor.listen():
            if heard["command"].startswith("SET seen"):
                break
            commands.append(heard["command"])
    asked = [command for command in commands if command.startswith("PUBSUB NUMSUB")]
    assert asked
    assert not [command for command in commands if command.startswith("PUBLISH errand:events")]


def test_one_that_joins_with_an_older_state_hears_of_what_the_others_know(
    queue_settings: QueueSettings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.05)

    async def test(watcher: Watcher, jobs: StatusReader, enqueuer: Enqueuer) -> None:
        older = await store(enqueuer, jobs)
        with watcher.watch_job(older) as first:
            redis.hset(f"rq:job:{older.id}", "status", "started")
            await wait_async(lambda: first.state and first.state.status == "started")
            with watcher.watch_job(older) as second:
                await wait_async(lambda: second.state and second.state.status == "started")

    run(queue_settings, test)


def test_a_batch_is_read_when_as_many_of_its_jobs_have_changed_as_had_not_ended(
    queue_settings: QueueSettings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 60)

    async def test(watcher: Watcher, jobs: StatusReader, enqueuer: Enqueuer) -> None:
        ids = derive_ids(BATCH, 3)
        await enqueuer.store([NewJob(LOG, {"text": "x"}, batch=BATCH, id=id) for id in ids], (BATCH, "log"))
        batch = await BatchReader(connect(queue_settings.redis_url), queue_settings).read(BATCH)
        assert batch is not None
        with watcher.watch_batch(batch) as watched:
            await wait_async(lambda: count_subscriptions(redis))
            for id in ids:
                redis.hset(f"rq:job:{id}", "status", "finished")
            redis.publish(keys.EVENTS, f"{ids[0]} {ids[1]} {ids[0]}")
            assert not await watched.wait(0.3)
            for _ in range(10):
                redis.publish(keys.EVENTS, " ".join(ids))
                if await watched.wait(1):
                    break
            assert watched.state is not None
            assert watched.state.has_ended

    run(queue_settings, test)


def test_what_changes_while_a_batch_is_read_counts_for_the_next_time() -> None:
    members, ids = Members(), derive_ids(BATCH, 3)
    members.add(BatchStatus(BATCH, "log", "", {"queued": 3}))
    assert members.hear(["other", *ids]) == {BATCH}
    assert members.hear(ids[:1]) == set()
    assert members.note(BatchStatus(BATCH, "log", "", {"finished": 2, "queued": 1}))
    assert not members.note(BatchStatus(BATCH, "log", "", {"finished": 3}))
    members.remove(BATCH)
    assert members.hear(ids) == set()
