"""A connection cut at any byte of an enqueue, a take or a finish: one job, one recorded end."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from errand import Job
from errand.redis.connection import connect
from errand.redis.lua.loader import assemble
from errand.store.enqueue import Enqueuer
from errand.store.new_job import NewJob
from errand.store.settings import QueueSettings
from errand.webhook.webhooks import Webhooks
from tests.support.proxies import Cut, Proxy
from tests.support.servers import Server
from tests.support.site import Site
from tests.support.waiting import wait_until

WHOLE = 1 << 30
AT_ONCE = 8
UNTOUCHED = {"attempts": 1, "interruptions": 0, "losses": 0, "retries_left": 2}


def spread(size: int, count: int) -> list[int]:
    """Return `count` positions in a message, its first and its last bytes among them."""
    return sorted({0, 1, size - 1, size} | {size * step // (count - 3) for step in range(1, count - 3)})


@pytest.mark.parametrize("reply", [False, True], ids=["request", "reply"])
def test_an_enqueue_cut_at_any_byte_leaves_exactly_one_job(
    server: Server, proxy: Proxy, types: dict[str, Job[..., Any]], reply: bool
) -> None:
    settings = QueueSettings(REDIS_URL=proxy.url)
    gate = asyncio.Semaphore(AT_ONCE)
    stored: list[bytes] = []
    cuts: list[Cut] = []

    async def store(client: Redis, after_bytes: int) -> None:
        new = NewJob(types["log"], {"text": "x"})
        stored.append(new.id.encode())
        cuts.append(proxy.cut(b"EVALSHA", new.id.encode(), after_bytes=after_bytes, reply=reply))
        async with gate:
            # One that has no other's calls in its group, where each of them would cut the same message again.
            assert await Enqueuer(client, settings, types).store([new]) == ["queued"]

    async def main() -> None:
        async with connect(proxy.url) as client:
            await store(client, WHOLE)
            await asyncio.gather(*(store(client, after_bytes) for after_bytes in range(cuts[0].size)))

    asyncio.run(main())
    assert all(cut.size for cut in cuts)
    assert len(cuts) > (10 if reply else 500)
    redis = server.connect()
    assert sorted(redis.lrange("rq:queue:log", 0, -1)) == sorted(stored)
    assert redis.scard("rq:queues") == 1
    assert len(redis.keys("rq:job:*")) == len(stored)


@pytest.fixture
def cut_site(own_site: Site, proxy: Proxy) -> Site:
    """A service whose one worker speaks to Redis through the proxy."""
    own_site.start_ready_worker(REDIS_URL=proxy.url, WORKER_LEASE_SECONDS="2")
    own_site.wait_for(own_site.post_noted())
    return own_site


def assert_one_run(site: Site, job: str) -> None:
    assert site.wait_for(job)["status"] == "finished"
    assert site.ledger.count(job) == (1, 1)
    assert site.count_results(job) == 1
    assert site.read_counts(job) == UNTOUCHED


def name_exchange(site: Site) -> bytes:
    """Return what the request of an exchange holds: the name of its script."""
    return str(site.redis.register_script(assemble("worker/exchange", Webhooks(site.types).values)).sha).encode()


@pytest.mark.slow
def test_a_take_whose_request_is_cut_takes_its_job_once(cut_site: Site, proxy: Proxy) -> None:
    cut = proxy.cut(name_exchange(cut_site), after_bytes=WHOLE)
    wait_until(lambda: cut.size)
    for after_bytes in spread(cut.size, 16):
        cut = proxy.cut(name_exchange(cut_site), after_bytes=after_bytes)
        job = cut_site.post_noted()
        assert_one_run(cut_site, job)
        wait_until(lambda cut=cut: cut.size)
    cut_site.assert_nothing_is_left()


def test_a_take_whose_reply_is_cut_neither_loses_nor_doubles_its_job(cut_site: Site, proxy: Proxy) -> None:
    positions = [WHOLE]
    for number in range(20):
        # The job's id is not known before it is in the queue: what holds its type is the take's reply.
        cut = proxy.cut(b"\r\nledger\r\n", after_bytes=positions[number], reply=True)
        assert_one_run(cut_site, cut_site.post_noted())
        assert cut.size
        positions = positions[:1] + spread(cut.size, 20) + [0] * 20
    cut_site.assert_nothing_is_left()


@pytest.mark.parametrize("type", ["ledger", pytest.param("alone", marks=pytest.mark.slow)])
@pytest.mark.parametrize("reply", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_finish_that_is_cut_is_recorded_once(cut_site: Site, proxy: Proxy, type: str, reply: bool) -> None:
    positions = [WHOLE]
    for number in range(11):
        cut = proxy.cut(name_exchange(cut_site), b"\r\nfinished\r\n", after_bytes=positions[number], reply=reply)
        assert_one_run(cut_site, cut_site.post_noted(type))
        wait_until(lambda cut=cut: cut.size)
        positions = positions[:1] + spread(cut.size, 10) + [0] * 10
    cut_site.assert_nothing_is_left()


@pytest.mark.slow
@pytest.mark.parametrize("reply", [False, True], ids=["request", "reply"])
def test_a_failure_whose_record_is_cut_spends_one_try(cut_site: Site, proxy: Proxy, reply: bool) -> None:
    for after_bytes in (0, 7, WHOLE):
        cut = proxy.cut(name_exchange(cut_site), b"\r\nfailed\r\n", after_bytes=after_bytes, reply=reply)
        job = cut_site.post_noted(then="fail")
        found = cut_site.wait_for(job, "scheduled")
        assert cut.size
        assert (found["attempts"], found["retries_left"], found["losses"]) == (1, 1, 0)
        assert cut_site.ledger.count(job) == (1, 0)
        assert cut_site.redis.zcard("rq:scheduled:default") == 1
        cut_site.redis.zrem("rq:scheduled:default", job)


@pytest.mark.slow
def test_connections_cut_again_and_again_cost_nothing_but_time(cut_site: Site, proxy: Proxy) -> None:
    jobs = [cut_site.post_noted(type, seconds=0.5) for type in ("ledger", "alone") * 4]
    for _ in range(10):
        proxy.refuse()
        proxy.accept()
        jobs.append(cut_site.post_noted(seconds=0.1))
        cut_site.ledger.wait_for_start(jobs[-1], timeout_seconds=5)
    for job in jobs:
        assert_one_run(cut_site, job)
    cut_site.assert_nothing_is_left()
