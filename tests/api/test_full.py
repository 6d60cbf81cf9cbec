"""A Redis with little room left: nothing new is stored, what is there can be read and can end."""

from collections.abc import Iterator

import pytest
from redis import Redis
from starlette.testclient import TestClient

from errand.api.settings import ApiSettings
from errand.local.valkey import EmbeddedValkey
from errand.store.requeue import Requeuer
from errand.store.settings import QueueSettings
from tests.api.test_requeue import post_failed
from tests.support.connectors import create_app
from tests.support.job_types import WITH_TUTORIAL
from tests.support.waiting import wait_until

STORING = [
    ("/v1/jobs/log", {"text": "x"}),
    ("/v1/jobs/log?delay_seconds=60", {"text": "x"}),
    ("/v1/batches/log", {"items": [{"text": "x"}] * 3}),
    ("/send-notification/ada@example.com?message=x", None),
    ("/items/7/process", None),
    ("/v1/queues/log/requeue", None),
]


@pytest.fixture
def redis(own_valkey: EmbeddedValkey) -> Iterator[Redis]:
    client = Redis.from_url(own_valkey.url)
    yield client
    client.close()


def build_client(url: str) -> TestClient:
    app = create_app(ApiSettings(ERRAND_LOCAL=True), QueueSettings(REDIS_URL=url), WITH_TUTORIAL)
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


@pytest.fixture
def client(own_valkey: EmbeddedValkey) -> Iterator[TestClient]:
    with build_client(own_valkey.url) as client:
        yield client


def fill(redis: Redis, part: float) -> None:
    """Let what is in use be that part of the server's maxmemory; more than 1 means that it takes nothing at all."""
    redis.config_set("maxmemory", int(redis.info("memory")["used_memory"] / part))


@pytest.mark.parametrize(("path", "body"), STORING)
def test_from_80_percent_on_nothing_is_stored(client: TestClient, redis: Redis, path: str, body: object) -> None:
    fill(redis, 0.85)
    answer = client.post(path, json=body)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["type"] == "urn:problem-type:errand:redis-full"
    assert "MB" in answer.json()["detail"]
    assert redis.keys() == []


@pytest.mark.parametrize(("path", "body"), STORING)
def test_below_80_percent_all_is_taken(client: TestClient, redis: Redis, path: str, body: object) -> None:
    fill(redis, 0.6)
    assert client.post(path, json=body).status_code in (200, 202)


def test_a_failed_job_is_not_requeued(own_valkey: EmbeddedValkey, client: TestClient, redis: Redis) -> None:
    link = post_failed(client, redis)
    fill(redis, 0.85)
    with build_client(own_valkey.url) as fresh:
        assert fresh.post(f"{link}/requeue").json()["type"] == "urn:problem-type:errand:redis-full"
        assert fresh.get(link).json()["status"] == "failed"


@pytest.mark.parametrize("part", [0.85, 10])
def test_what_is_there_can_be_read(client: TestClient, redis: Redis, part: float) -> None:
    job = client.post("/v1/jobs/log", json={"text": "x"}).headers["location"]
    batch = client.post("/v1/batches/log", json={"items": [{"text": "x"}] * 3}).json()
    ended = batch["jobs"][0]["id"]
    redis.hset(f"rq:job:{ended}", "status", "finished")  # its batch is to note that when it is read
    fill(redis, part)
    assert client.get(job).status_code == 200
    assert client.get(batch["links"]["self"]).json()["finished"] == 1
    assert redis.hget(f"errand:batch:{batch['id']}", ended) == b"finished"


@pytest.mark.parametrize("part", [0.85, 10])
def test_readyz_says_how_full_it_is(client: TestClient, redis: Redis, part: float) -> None:
    fill(redis, part)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "full")
    assert answer.json()["redis"]["detail"].startswith("used ")
    assert answer.json()["redis"]["survives_power_cut"] is True


def test_a_redis_that_fills_up_between_two_looks_is_a_503_all_the_same(client: TestClient, redis: Redis) -> None:
    assert client.post("/v1/jobs/log", json={"text": "x"}).status_code == 202
    count = redis.dbsize()
    fill(redis, 10)
    answer = client.post("/v1/batches/log", json={"items": [{"text": "x"}] * 3})
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem-type:errand:redis-full")
    assert redis.dbsize() == count


def test_a_sweep_that_is_stopped_half_way_says_how_many_it_took(
    client: TestClient, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = [post_failed(client, redis) for _ in range(2)]
    honest = Requeuer._call

    async def call_and_fill(self: Requeuer, *args: object) -> object:
        outcome = await honest(self, *args)  # type: ignore[arg-type]
        fill(redis, 10)
        return outcome

    monkeypatch.setattr(Requeuer, "_call", call_and_fill)
    monkeypatch.setattr("errand.store.requeue.PAGE", 1)
    answer = client.post("/v1/queues/log/requeue")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem-type:errand:redis-full")
    assert answer.json()["detail"].startswith("1 jobs were requeued, then: Redis is full and takes nothing new")
    assert sorted(client.get(link).json()["status"] for link in links) == ["failed", "queued"]


def test_it_takes_jobs_again_once_there_is_room(client: TestClient, redis: Redis) -> None:
    fill(redis, 0.9)
    assert client.post("/v1/jobs/log", json={"text": "x"}).status_code == 503
    fill(redis, 0.5)
    wait_until(lambda: client.post("/v1/jobs/log", json={"text": "x"}).status_code == 202, 3)


def test_reading_costs_the_server_no_info(client: TestClient, redis: Redis) -> None:
    job = client.post("/v1/jobs/log", json={"text": "x"}).headers["location"]
    redis.config_resetstat()
    for _ in range(20):
        client.get(job)
    assert "cmdstat_info" not in redis.info("commandstats")


def test_a_redis_that_does_not_say_is_not_full_and_lacks_a_permission(own_valkey: EmbeddedValkey, redis: Redis) -> None:
    redis.acl_setuser("mute", enabled=True, nopass=True, keys=["*"], channels=["*"], commands=["+@all", "-info"])
    with build_client(f"{own_valkey.url}?username=mute&password=x") as client:
        answer = client.post("/v1/jobs/log", json={"text": "x"})
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem-type:errand:redis-permission")
    assert "'info' command" in answer.json()["detail"]
