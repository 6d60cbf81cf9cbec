"""`unique_key`: while a job waits or runs under it, that one is the answer."""

import asyncio
import base64
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from redis import Redis
from starlette.testclient import TestClient

from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from errand.store.status import ENDED
from tests.support.connectors import create_app
from tests.support.job_types import TYPES

KEY = "errand:unique:log:cart-7"
LARGE = {
    "to": "ada@example.com",
    "subject": "x",
    "text": "y",
    "attachments": [{"filename": "a.bin", "content": base64.b64encode(b"a" * 100_000).decode()}],
}


def post(client: TestClient, query: str = "", text: str = "x", url: str = "/v1/jobs/log", **headers: str) -> Any:
    return client.post(f"{url}?unique_key=cart-7&{query}", json={"text": text}, headers=headers)


def summarize(answer: Any) -> tuple[int, str, str]:
    return answer.status_code, answer.headers["Errand-Unique"], answer.json()["id"]


def read_text(client: TestClient, id: str) -> Any:
    return client.get(f"/v1/jobs/{id}?fields=payload").json()["payload"]["text"]


@pytest.mark.parametrize("query", ["", "delay_seconds=60", "concurrency_key=k&concurrency=1", "at_front=true&tag=t"])
def test_while_one_waits_it_is_the_answer(client: TestClient, redis: Redis, query: str) -> None:
    first = post(client, query)
    id = first.json()["id"]
    assert summarize(first) == (202, "stored", id)
    again = post(client, query, "y")
    assert summarize(again) == (202, "existing", id)
    assert again.json() == client.get(f"/v1/jobs/{id}").json()
    assert again.headers["Location"] == f"/v1/jobs/{id}"
    assert len(redis.keys("rq:job:*")) == 1


@pytest.mark.parametrize("status", ["started", "deferred", "scheduled", "rate_limited", "ready_to_enqueue"])
def test_whatever_it_does_meanwhile(client: TestClient, redis: Redis, status: str) -> None:
    id = post(client).json()["id"]
    redis.hset(f"rq:job:{id}", "status", status)
    assert summarize(post(client)) == (202, "existing", id)


@pytest.mark.parametrize("status", [*sorted(ENDED), None])
def test_one_that_has_ended_or_is_gone_gives_the_key_away(client: TestClient, redis: Redis, status: str | None) -> None:
    id = post(client).json()["id"]
    redis.hset(f"rq:job:{id}", "status", status) if status else redis.delete(f"rq:job:{id}")
    code, how, new = summarize(post(client))
    assert (code, how, new == id) == (202, "stored", False)
    assert redis.get(KEY) == new.encode()
    assert 0 < redis.ttl(KEY) <= 30 * 24 * 3600


def test_each_type_has_keys_of_its_own(client: TestClient) -> None:
    post(client)
    other = client.post("/v1/jobs/tally?unique_key=cart-7", json={"number": 1})
    assert other.headers["Errand-Unique"] == "stored"


def test_a_job_without_it_has_nothing_of_it(client: TestClient, redis: Redis) -> None:
    assert "Errand-Unique" not in client.post("/v1/jobs/log", json={"text": "x"}).headers
    assert not redis.keys("errand:unique:*")


def test_replace_gives_the_one_that_waits_a_new_payload_and_time(client: TestClient, redis: Redis) -> None:
    first = post(client, "delay_seconds=60&tag=a&expires_in_seconds=90&unique=replace").json()
    again = post(client, "delay_seconds=600&tag=b&unique=replace", "last")
    assert summarize(again) == (202, "replaced", first["id"])
    job = again.json()
    assert job == client.get(f"/v1/jobs/{first['id']}").json()
    assert (job["status"], job["run_at"] > first["run_at"], job["tags"]) == ("scheduled", True, ["b"])
    assert "expires_at" not in job
    assert read_text(client, first["id"]) == "last"
    assert not redis.exists("errand:expires", "errand:tag:a")
    assert redis.zcard("rq:scheduled:log") == 1
    found = client.get("/v1/jobs?tag=b").json()["items"]
    assert [one["id"] for one in found] == [first["id"]]


def test_those_that_wait_for_a_replaced_job_still_do(client: TestClient) -> None:
    id = post(client, "delay_seconds=60").json()["id"]
    child = client.post(f"/v1/jobs/log?after={id}", json={"text": "x"}).json()["id"]
    post(client, "delay_seconds=90&unique=replace")
    assert client.get(f"/v1/jobs/{id}").json()["dependents"] == [{"id": child, "status": "deferred"}]


def test_replace_without_a_time_runs_it_now(client: TestClient, redis: Redis) -> None:
    id = post(client, "delay_seconds=60").json()["id"]
    assert summarize(post(client, "unique=replace", "now")) == (202, "replaced", id)
    assert redis.lrange("rq:queue:log", 0, -1) == [id.encode()]
    assert redis.zcard("rq:scheduled:log") == 0


@pytest.mark.parametrize("change", [{"status": "started"}, {"status": "queued"}, {"errand_attempts": "1"}])
def test_what_came_last_runs_beside_one_that_has_begun(
    client: TestClient, redis: Redis, change: dict[Any, Any]
) -> None:
    id = post(client, "delay_seconds=60").json()["id"]
    redis.hset(f"rq:job:{id}", mapping=change)
    code, how, new = summarize(post(client, "delay_seconds=60&unique=replace", "last"))
    assert (code, how, new == id) == (202, "stored", False)
    assert (read_text(client, id), read_text(client, new)) == ("x", "last")
    assert summarize(post(client, "delay_seconds=60")) == (202, "existing", new)


def test_an_idempotency_key_finds_again_which_job_was_the_answer(client: TestClient, redis: Redis) -> None:
    id = post(client).json()["id"]
    same = {"Idempotency-Key": "order-7"}
    assert summarize(post(client, **same)) == (202, "existing", id)
    redis.hset(f"rq:job:{id}", "status", "finished")
    again = post(client, **same)
    assert (summarize(again), again.headers["Idempotency-Replayed"]) == ((200, "existing", id), "true")
    assert post(client, text="y", **same).status_code == 422
    redis.delete(f"rq:job:{id}")
    assert summarize(post(client, **same)) == (202, "existing", id)


def test_one_that_replaced_is_answered_again_and_replaces_nothing(client: TestClient) -> None:
    id = post(client, "delay_seconds=60").json()["id"]
    query, same = "delay_seconds=60&unique=replace", {"Idempotency-Key": "order-7"}
    assert summarize(post(client, query, "1", **same)) == (202, "replaced", id)
    post(client, query, "2")
    assert summarize(post(client, query, "1", **same)) == (202, "replaced", id)
    assert read_text(client, id) == "2"


def test_a_requeued_job_runs_beside_the_one_that_has_its_key(client: TestClient) -> None:
    id = post(client).json()["id"]
    client.post(f"/v1/jobs/{id}/cancel")
    new = post(client).json()["id"]
    assert client.post(f"/v1/jobs/{id}/requeue").json()["status"] == "queued"
    assert summarize(post(client)) == (202, "existing", new)


def test_a_wait_is_for_the_one_that_is_the_answer(client: TestClient, redis: Redis) -> None:
    id = post(client).json()["id"]
    answer = post(client, Prefer="wait=0")
    assert (summarize(answer), answer.headers["Preference-Applied"]) == ((202, "existing", id), "wait=0")


def test_large_bodies_go_with_the_payloads_that_they_are_of(client: TestClient, redis: Redis) -> None:
    url = "/v1/jobs/email?unique_key=a&delay_seconds=60"
    other = {**LARGE, "attachments": [{"filename": "b", "content": base64.b64encode(b"b" * 100_000).decode()}]}
    id = client.post(url, json=LARGE).json()["id"]
    before = redis.hgetall("errand:bodies")
    assert before
    assert summarize(client.post(url, json=other)) == (202, "existing", id)
    assert redis.hgetall("errand:bodies") == before
    assert summarize(client.post(f"{url}&unique=replace", json=LARGE)) == (202, "replaced", id)
    assert redis.hgetall("errand:bodies") == before
    assert summarize(client.post(f"{url}&unique=replace", json=other)) == (202, "replaced", id)
    assert redis.hgetall("errand:bodies").keys() != before.keys()
    assert client.delete(f"/v1/jobs/{id}").status_code == 204
    assert not redis.exists("errand:bodies", "errand:body-holds")


@pytest.mark.parametrize(
    ("url", "parameter"),
    [
        ("/v1/jobs/log?unique=replace", "unique"),
        ("/v1/jobs/log?unique=always&unique_key=a", "unique"),
        ("/v1/jobs/log?unique_key=a%20b", "unique_key"),
        ("/v1/jobs/log?unique_key=a&unique=replace&after=5f0c7d1e-0000-4000-8000-000000000000", "after"),
        ("/v1/batches/log?unique_key=a", "unique_key"),
    ],
)
def test_what_can_not_be_is_refused(client: TestClient, redis: Redis, url: str, parameter: str) -> None:
    answer = client.post(url, json={"text": "x"})
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, parameter)
    assert redis.keys() == []


@pytest.mark.valkey
def test_of_fifty_at_once_one_is_stored(queue_settings: QueueSettings, redis: Redis) -> None:
    apps = [create_app(ApiSettings(ERRAND_LOCAL=True), queue_settings, TYPES) for _ in range(2)]

    async def post_all() -> list[Any]:
        async def post_one(app: FastAPI) -> Any:
            transport = httpx2.ASGITransport(app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.post("/v1/jobs/log?unique_key=cart-7", json={"text": "x"})

        found = await asyncio.gather(*(post_one(apps[number % 2]) for number in range(50)))
        for app in apps:
            await app.state.store.server.redis.aclose()
        return found

    answers = asyncio.run(post_all())
    assert sorted({answer.headers["Errand-Unique"] for answer in answers}) == ["existing", "stored"]
    assert [answer.headers["Errand-Unique"] for answer in answers].count("stored") == 1
    assert len({answer.json()["id"] for answer in answers}) == len(redis.keys("rq:job:*")) == 1
