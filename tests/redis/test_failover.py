"""Where a process's connections lead to, and when it leaves them."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import ConnectionError, ReadOnlyError

from errand.local.valkey import EmbeddedValkey
from errand.redis import failover
from errand.redis.connection import LOOK, WORKER, UrlConnector, wait_for_redis
from errand.redis.failover import Failover, ReplicaError, RoleWatch, renew, renew_async
from tests.support.connectors import FAKE
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "LOOK_SECONDS", 0.0)


@pytest.fixture
def redis(own_valkey: EmbeddedValkey) -> Iterator[Redis]:
    """A client that may turn the server into a replica."""
    with Redis.from_url(own_valkey.url) as redis:
        yield redis


class Leaves:
    """Counts how often the others were to connect anew."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def watch(server: EmbeddedValkey) -> tuple[RoleWatch, Leaves]:
    leaves = Leaves()
    found = RoleWatch(UrlConnector(server.url).connect(WORKER), leaves)
    found.look()
    return found, leaves


def cut(redis: Redis) -> None:
    """Cut all connections but this one, as failovers may."""
    redis.client_kill_filter(skipme=True, _type="normal")


def test_one_at_a_primary_is_left_alone(own_valkey: EmbeddedValkey, redis: Redis) -> None:
    role, leaves = watch(own_valkey)
    for _ in range(3):
        role.look()
    assert leaves.count == 0


def test_one_at_a_replica_is_left_at_each_look_until_it_is_a_primary(own_valkey: EmbeddedValkey, redis: Redis) -> None:
    role, leaves = watch(own_valkey)
    redis.replicaof("127.0.0.1", 1)
    for count in (1, 2):
        with pytest.raises(ReplicaError, match=r"replica of 127\.0\.0\.1:1 .* set it to the primary"):
            role.look()
        assert leaves.count == count
    redis.replicaof("NO", "ONE")
    role.look()
    assert leaves.count == 3  # what the others opened before this look may lead to a replica
    role.look()
    assert leaves.count == 3


def test_one_that_was_cut_unseen_has_the_others_made_anew(own_valkey: EmbeddedValkey, redis: Redis) -> None:
    role, leaves = watch(own_valkey)
    cut(redis)
    role.look()
    role.look()
    assert leaves.count == 1


def test_a_server_that_is_away_is_reported(own_valkey: EmbeddedValkey) -> None:
    role, leaves = watch(own_valkey)
    own_valkey.stop()
    with pytest.raises(ConnectionError):
        role.look()
    own_valkey.start()
    role.look()
    assert leaves.count == 2


def test_it_looks_once_a_second(own_valkey: EmbeddedValkey, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "LOOK_SECONDS", 60.0)
    role, _ = watch(own_valkey)
    for _ in range(5):
        role.look()
    assert redis.info("commandstats")["cmdstat_role"]["calls"] == 1


def test_a_server_that_does_not_say_is_not_asked_again(own_valkey: EmbeddedValkey, redis: Redis) -> None:
    redis.acl_setuser("mute", enabled=True, nopass=True, keys=["*"], channels=["*"], commands=["+@all", "-role"])
    client = Redis.from_url(f"{own_valkey.url}?username=mute&password=x")
    role = RoleWatch(client)
    for _ in range(3):
        role.look()
    assert redis.info("commandstats")["cmdstat_role"]["rejected_calls"] == 1


def test_a_refused_write_closes_its_connection(own_valkey: EmbeddedValkey, redis: Redis) -> None:
    client = UrlConnector(own_valkey.url).connect(WORKER)
    before = client.client_id()
    redis.replicaof("127.0.0.1", 1)
    with pytest.raises(ReadOnlyError):
        client.set("a", "b")
    assert client.client_id() != before


def test_renewed_clients_close_what_is_idle_now_and_what_is_in_use_later(
    own_valkey: EmbeddedValkey, redis: Redis
) -> None:
    client = UrlConnector(own_valkey.url).connect(WORKER)
    used = client.connection_pool.get_connection()
    client.ping()
    count = len(redis.client_list())
    renew(client)
    wait_until(lambda: len(redis.client_list()) == count - 1)
    client.connection_pool.release(used)
    wait_until(lambda: len(redis.client_list()) == count - 2)


def test_so_do_asynchronous_ones(own_valkey: EmbeddedValkey, redis: Redis) -> None:
    async def act() -> None:
        client = UrlConnector(own_valkey.url).connect_async(LOOK)
        used = await client.connection_pool.get_connection()
        await client.ping()
        before = len(redis.client_list())
        await renew_async(client)
        await asyncio.to_thread(wait_until, lambda: len(redis.client_list()) == before - 1)
        await client.connection_pool.release(used)
        await asyncio.to_thread(wait_until, lambda: len(redis.client_list()) == before - 2)
        await client.aclose()

    asyncio.run(asyncio.wait_for(act(), 30))


def test_the_api_leaves_and_logs_a_failover_once_and_of_its_end(
    own_valkey: EmbeddedValkey, redis: Redis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failover, "LOOK_SECONDS", 0.01)
    left = Leaves()

    def logged() -> list[str]:
        return [record.message for record in caplog.records if record.name == "errand.api"]

    async def count() -> None:
        left()

    async def act() -> None:
        watched = Failover(UrlConnector(own_valkey.url).connect_async(LOOK))
        watched.leaves.append(count)
        watched.start()
        await asyncio.sleep(0.1)
        assert left.count == 0
        redis.replicaof("127.0.0.1", 1)
        await asyncio.to_thread(wait_until, lambda: left.count >= 3)
        redis.replicaof("NO", "ONE")
        await asyncio.to_thread(wait_until, lambda: len(logged()) == 2)
        before = left.count
        cut(redis)
        await asyncio.to_thread(wait_until, lambda: left.count > before)
        await watched.close()

    with caplog.at_level(logging.WARNING, "errand.api"):
        asyncio.run(asyncio.wait_for(act(), 30))
    first, last = logged()
    assert first.startswith("Redis has failed over, and all connections are made anew. REDIS_URL: the server is a")
    assert last == "Redis is a primary again"


def test_a_fake_server_is_left_alone() -> None:
    role = RoleWatch(FAKE.connect(WORKER), leaves := Leaves())
    role.look()
    role.look()
    assert leaves.count == 0


def test_a_worker_does_not_start_at_a_replica(
    own_valkey: EmbeddedValkey, redis: Redis, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            redis.replicaof("NO", "ONE")

    redis.replicaof("127.0.0.1", 1)
    monkeypatch.setattr("errand.redis.connection.time.sleep", wait)
    wait_for_redis(own_valkey.url)
    assert len(waits) == 3
    said = capsys.readouterr().err
    assert said.startswith("errand: Redis is not ready (REDIS_URL: the server is a replica of 127.0.0.1:1 and")
    assert said.count("\n") == 1
