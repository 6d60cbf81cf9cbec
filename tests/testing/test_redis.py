"""As far as Errand can see, the fake server behaves like a real one."""

import asyncio
from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import NoScriptError
from starlette.testclient import TestClient

from errand.api.app import build_api
from errand.api.settings import ApiSettings
from errand.redis.connection import API, WORKER
from errand.redis.server import check_server
from errand.store.settings import QueueSettings
from errand.testing.redis import FakeConnector
from tests.support.job_types import TYPES

SCRIPT = "#!lua flags=allow-oom\nreturn redis.call('GET', KEYS[1])"


@pytest.fixture
def connector() -> FakeConnector:
    return FakeConnector()


@pytest.fixture
def fake(connector: FakeConnector) -> Iterator[Redis]:
    client = connector.connect(WORKER)
    client.set("key", "value")
    yield client
    client.close()


def test_a_post_is_stored_where_its_other_clients_see_it(connector: FakeConnector) -> None:
    app = build_api(ApiSettings(ERRAND_LOCAL=True), QueueSettings(REDIS_URL="redis://nowhere"), TYPES, connector)
    with TestClient(app, base_url="http://localhost") as client:
        id = client.post("/v1/jobs/log", json={"text": "x"}).json()["id"]
        assert client.get(f"/v1/jobs/{id}").json()["status"] == "queued"
    assert connector.connect(WORKER).exists(f"rq:job:{id}")


def test_two_connectors_are_two_servers(fake: Redis) -> None:
    assert FakeConnector().connect(WORKER).get("key") is None


def test_a_script_with_flags_runs_however_it_is_sent(fake: Redis) -> None:
    script = fake.register_script(SCRIPT)
    assert script(keys=["key"]) == b"value"
    assert fake.eval(SCRIPT, 1, "key") == b"value"
    assert fake.evalsha(fake.script_load(SCRIPT), 1, "key") == b"value"


def test_scripts_have_the_hash_that_redis_gives_them(fake: Redis) -> None:
    assert fake.eval("return redis.sha1hex('')", 0) == b"da39a3ee5e6b4b0d3255bfef95601890afd80709"


def test_a_registered_script_has_the_sha_under_which_it_is_loaded(fake: Redis) -> None:
    script = fake.register_script(SCRIPT)
    with pytest.raises(NoScriptError):
        fake.evalsha(script.sha, 1, "key")
    assert fake.script_load(script.script) == script.sha


def test_rqs_scripts_are_left_as_they_are(fake: Redis) -> None:
    assert fake.register_script(b"return 1")() == 1


def test_it_evicts_nothing_and_says_that_it_keeps_nothing(connector: FakeConnector) -> None:
    async def check() -> bool | None:
        async with connector.connect_async(API) as redis:
            return (await check_server(redis)).survives_power_cut

    assert asyncio.run(check()) is False
