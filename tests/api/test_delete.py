"""DELETE /v1/jobs/{id}."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient

from errand.store.delete import Deleter
from errand.store.settings import QueueSettings
from tests.support.connectors import connect
from tests.support.proxies import Proxy
from tests.support.services import Services
from tests.support.waiting import wait_until

UNKNOWN = "5f0c7d1e-0000-4000-8000-000000000000"


def post(client: TestClient, query: str = "") -> str:
    answer = client.post(f"/v1/jobs/log{query}", json={"text": "x"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def end(redis: Redis, id: str, status: str) -> None:
    """Let a queued job have ended."""
    redis.lrem("rq:queue:log", 0, id)
    redis.hset(f"rq:job:{id}", "status", status)
    redis.zadd(f"rq:{'failed' if status == 'stopped' else status}:log", {id: 2_000_000_000})
    redis.xadd(f"rq:results:{id}", {"type": 2})


def delete(client: TestClient, id: str) -> None:
    answer = client.delete(f"/v1/jobs/{id}")
    assert (answer.status_code, answer.content) == (204, b""), answer.text


def read_status(client: TestClient, id: str) -> str:
    return str(client.get(f"/v1/jobs/{id}").json()["status"])


def list_left(redis: Redis) -> list[str]:
    """Return the keys that are left but those that no job is in."""
    known = {b"rq:queues", b"errand:indexes"}
    return sorted(
        key.decode() for key in redis.scan_iter() if key not in known and not key.startswith(b"errand:deleted:")
    )


@pytest.mark.parametrize("status", ["finished", "failed", "stopped", "canceled"])
def test_an_ended_job_is_gone_with_all_its_keys(client: TestClient, redis: Redis, status: str) -> None:
    id = post(client, "?tag=a&tag=b")
    end(redis, id, status)
    delete(client, id)
    assert list_left(redis) == []
    assert client.get(f"/v1/jobs/{id}").status_code == 404


@pytest.mark.parametrize("query", ["", "?delay_seconds=60", "?concurrency_key=k&concurrency=1"])
def test_a_job_that_waits_is_gone_with_all_its_keys(client: TestClient, redis: Redis, query: str) -> None:
    delete(client, post(client, query))
    assert [key for key in list_left(redis) if not key.startswith("rq:rl")] == []


def test_a_dependent_is_gone_from_its_parents_lists(client: TestClient, redis: Redis) -> None:
    parent = post(client)
    before = list_left(redis)
    delete(client, post(client, f"?after={parent}"))
    assert list_left(redis) == before
    assert client.get(f"/v1/jobs/{parent}").json()["dependents"] == []


def test_the_dependents_of_one_that_waits_go_as_they_were_asked(client: TestClient) -> None:
    first = post(client)
    cancel, run, wait = (post(client, f"?after={first}&on_failure={word}") for word in ("cancel", "run", "wait"))
    below = post(client, f"?after={wait}")
    delete(client, first)
    assert [read_status(client, id) for id in (cancel, run, wait, below)] == [
        "canceled",
        "queued",
        "canceled",
        "canceled",
    ]
    assert "was deleted" in client.get(f"/v1/jobs/{wait}").json()["error"]["message"]


def test_what_waits_for_the_requeue_of_a_deleted_job_is_canceled(client: TestClient, redis: Redis) -> None:
    failed = post(client)
    end(redis, failed, "failed")
    child = post(client, f"?after={failed}&on_failure=wait")
    assert read_status(client, child) == "deferred"
    delete(client, failed)
    assert read_status(client, child) == "canceled"


def test_a_slot_behind_a_concurrency_key_is_free_again(client: TestClient) -> None:
    first, second = (post(client, "?concurrency_key=k&concurrency=1") for _ in range(2))
    delete(client, first)
    assert read_status(client, second) == "queued"


@pytest.mark.parametrize(("status", "counted"), [("queued", "deleted"), ("finished", "finished")])
def test_a_batch_counts_it_as_deleted_unless_it_had_ended(
    client: TestClient, redis: Redis, status: str, counted: str
) -> None:
    batch = client.post("/v1/batches/log", json={"items": [{"text": "x"}] * 2}).json()
    id = batch["jobs"][0]["id"]
    if status != "queued":
        end(redis, id, status)
    delete(client, id)
    found = client.get(batch["links"]["self"]).json()
    assert (found[counted], found["queued"], found["total"], found["percent"]) == (1, 1, 2, 50)


def test_a_running_job_is_a_409(services: Services, redis: Redis, tmp_path: Path) -> None:
    services.start_api()
    services.start_worker()
    id = services.post("ledger", {"ledger": str(tmp_path / "ledger"), "seconds": 30})
    wait_until((tmp_path / "ledger").exists)
    answer = services.call("DELETE", f"/v1/jobs/{id}")
    assert (answer.status, answer.body["type"]) == (409, "urn:problem-type:errand:not-deletable")
    assert "it is running; cancel it first" in answer.body["detail"]
    services.call("POST", f"/v1/jobs/{id}/cancel")
    assert services.call("DELETE", f"/v1/jobs/{id}").status == 204
    assert redis.keys(f"*{id}*") == []


def test_a_job_that_its_dead_worker_left_is_deleted(client: TestClient, redis: Redis) -> None:
    id = post(client)
    redis.delete("rq:queue:log")
    redis.hset(f"rq:job:{id}", "status", "started")
    redis.zadd(f"rq:executions:{id}", {"e": 1})
    redis.hset(f"rq:execution:{id}:e", "worker_name", "dead")
    redis.zadd("rq:wip:log", {f"{id}:e": 1})
    delete(client, id)
    assert list_left(redis) == []


def test_a_damaged_job_is_deleted(client: TestClient, redis: Redis) -> None:
    redis.set(f"rq:job:{UNKNOWN}", "?")
    delete(client, UNKNOWN)
    assert list_left(redis) == []


@pytest.mark.parametrize("id", [UNKNOWN, "x"])
def test_an_unknown_job_is_a_404(client: TestClient, redis: Redis, id: str) -> None:
    answer = client.delete(f"/v1/jobs/{id}")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:problem-type:errand:no-such-job")


def test_a_job_is_deleted_in_a_full_redis(client: TestClient, redis: Redis) -> None:
    id = post(client)
    redis.config_set("maxmemory", 1)
    try:
        delete(client, id)
    finally:
        redis.config_set("maxmemory", 0)


def call(settings: QueueSettings, ids: list[str], url: str | None = None, **options: Any) -> list[bytes | None]:
    async def main() -> list[bytes | None]:
        redis = connect(url or settings.redis_url)
        try:
            return await Deleter(redis, settings).delete_all(ids, **options)
        finally:
            await redis.aclose()

    return asyncio.run(main())


def test_each_of_several_has_an_outcome(client: TestClient, redis: Redis, queue_settings: QueueSettings) -> None:
    failed, queued = post(client), post(client)
    end(redis, failed, "failed")
    assert call(queue_settings, [failed, queued, UNKNOWN], statuses=["failed"]) == [b"", b"its status is queued", None]


def test_what_is_not_in_the_registry_is_left(client: TestClient, redis: Redis, queue_settings: QueueSettings) -> None:
    failed, other = post(client), post(client)
    end(redis, failed, "failed")
    redis.zadd("rq:failed:log", {UNKNOWN: 1})
    assert call(queue_settings, [failed, other, UNKNOWN], registry="rq:failed:log") == [b"", None, None]
    assert redis.zcard("rq:failed:log") == 0
    assert read_status(client, other) == "queued"


@pytest.mark.valkey
def test_a_reply_that_is_lost_changes_nothing(client: TestClient, queue_settings: QueueSettings) -> None:
    id = post(client)

    async def main() -> tuple[bool, int]:
        with Proxy(queue_settings.redis_url) as proxy:
            proxy.lose_reply()
            async with connect(proxy.url) as redis:
                was_there = await Deleter(redis, queue_settings).delete(id)
        return was_there, proxy.cuts

    assert asyncio.run(main()) == (True, 1)
