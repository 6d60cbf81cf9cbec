"""POST /v1/batches: all or none."""

import pytest
from redis import Redis
from starlette.testclient import TestClient

from tests.support.job_types import TYPES


def test_a_batch_names_its_jobs_in_order(client: TestClient, redis: Redis) -> None:
    answer = client.post("/v1/batches/log", json={"items": [{"text": str(number)} for number in range(3)]})
    batch = answer.json()
    assert (answer.status_code, batch["total"], batch["type"]) == (202, 3, "log")
    assert answer.headers["location"] == batch["links"]["self"]
    assert [job["id"].encode() for job in batch["jobs"]] == redis.lrange("rq:queue:log", 0, -1)


def test_each_job_links_to_its_batch(client: TestClient) -> None:
    batch = client.post("/v1/batches/log", json={"items": [{"text": "x"}]}).json()
    job = client.get(batch["jobs"][0]["links"]["self"]).json()
    assert job["links"]["batch"] == batch["links"]["self"]


def test_one_bad_item_and_nothing_is_stored(client: TestClient, redis: Redis) -> None:
    items = [{"to": "ada@example.com", "subject": "x", "text": "x"}] * 7 + [{"to": "ada", "subject": "x", "text": "x"}]
    answer = client.post("/v1/batches/email", json={"items": items})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/items/7/to/0")
    assert redis.keys() == []


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_has_1_to_1000_items(client: TestClient, redis: Redis, count: int) -> None:
    answer = client.post("/v1/batches/log", json={"items": [{"text": "x"}] * count})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/items")
    assert redis.keys() == []


def test_a_thousand_items_are_taken(client: TestClient) -> None:
    answer = client.post("/v1/batches/log", json={"items": [{"text": "x"}] * 1000})
    assert client.get(answer.headers["location"]).json()["queued"] == 1000


@pytest.mark.parametrize("type", TYPES)
def test_each_type_has_batches(client: TestClient, type: str) -> None:
    assert client.post(f"/v1/batches/{type}", json={"items": [TYPES[type].example]}).status_code == 202


def test_a_batch_can_be_delayed(client: TestClient) -> None:
    answer = client.post("/v1/batches/log?delay_seconds=60", json={"items": [{"text": "x"}] * 2})
    assert client.get(answer.headers["location"]).json()["scheduled"] == 2


def test_an_unfinished_batch_says_when_to_ask_again(client: TestClient, redis: Redis) -> None:
    answer = client.post("/v1/batches/log", json={"items": [{"text": "x"}]})
    assert client.get(answer.headers["location"]).headers["retry-after"] == "1"
    redis.hset(f"rq:job:{answer.json()['jobs'][0]['id']}", "status", "finished")
    assert "retry-after" not in client.get(answer.headers["location"]).headers


def test_an_unknown_batch_and_an_unknown_type_are_404s(client: TestClient) -> None:
    assert client.get("/v1/batches/5f0c7d1e-0000-4000-8000-000000000000").json()["type"].endswith("no-such-batch")
    assert client.get("/v1/batches/x").status_code == 404
    assert client.post("/v1/batches/no_such_type", json={}).json()["type"].endswith("no-such-type")


@pytest.mark.valkey
def test_so_many_links_to_others_that_they_would_hold_up_redis_are_refused(client: TestClient, redis: Redis) -> None:
    parents = [client.post("/v1/jobs/log", json={"text": "x"}).json()["id"] for _ in range(6)]
    items = {"items": [{"text": "x"}] * 1000}
    after = [f"after={id}" for id in parents]
    answer = client.post("/v1/batches/log?" + "&".join(after), json=items)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "after")
    assert redis.zcard("rq:deferred:log") == 0
    assert client.post("/v1/batches/log?" + "&".join(after[1:]), json=items).status_code == 202
