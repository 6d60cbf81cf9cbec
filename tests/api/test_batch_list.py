"""GET /v1/batches: the batches, newest first."""

from typing import Any

import pytest
from pydantic import TypeAdapter
from redis import Redis
from starlette.testclient import TestClient

from errand.api.routes.batch_list import BatchList
from errand.redis import keys
from errand.store import batch as store
from tests.support.job_types import TYPES


def post(client: TestClient, type: str = "log", count: int = 1) -> str:
    answer = client.post(f"/v1/batches/{type}", json={"items": [TYPES[type].example] * count})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def read(client: TestClient, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/v1/batches{query}")
    assert answer.status_code == 200, answer.text
    TypeAdapter(BatchList).validate_python(answer.json(), extra="forbid")
    return dict(answer.json())


def list_ids(client: TestClient, query: str = "") -> list[str]:
    return [item["id"] for item in read(client, query)["items"]]


def test_batches_are_listed_newest_first_as_they_are_read(client: TestClient, redis: Redis) -> None:
    old, new = post(client, count=3), post(client, "tally", 2)
    (job,) = client.get(f"/v1/batches/{old}/jobs?limit=1").json()["items"]
    redis.hset(f"rq:job:{job['id']}", "status", "failed")
    assert read(client) == {
        "items": [client.get(f"/v1/batches/{id}").json() for id in (new, old)],
        "next": None,
    }


def test_pages_follow_each_other_with_each_batch_once(client: TestClient) -> None:
    ids = [post(client) for _ in range(5)]
    answer = client.get("/v1/batches?limit=2")
    seen, link = [], answer.links.get("next")
    while True:
        seen += [item["id"] for item in answer.json()["items"]]
        if not link:
            break
        answer = client.get(link["url"])
        link = answer.links.get("next")
    assert seen == ids[::-1]


def test_batches_of_one_microsecond_are_shown_once_each(client: TestClient, redis: Redis) -> None:
    ids = {post(client) for _ in range(5)}
    redis.zadd(keys.BATCHES, dict.fromkeys(ids, 1_700_000_000_000_000))
    seen, query = [], "?limit=2"
    while query:
        page = read(client, query)
        seen += [item["id"] for item in page["items"]]
        query = f"?limit=2&cursor={page['next']}" if page["next"] else ""
    assert (len(seen), set(seen)) == (5, ids)


def test_those_of_one_type_are_found_and_a_cursor_is_for_them_alone(client: TestClient) -> None:
    logs = [post(client) for _ in range(2)]
    post(client, "tally")
    assert list_ids(client, "?type=log") == logs[::-1]
    cursor = read(client, "?type=log&limit=1")["next"]
    assert list_ids(client, f"?type=log&cursor={cursor}") == logs[:1]
    assert client.get(f"/v1/batches?cursor={cursor}").status_code == 422


def test_a_page_ends_where_enough_jobs_were_counted(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [post(client, count=3) for _ in range(3)]
    monkeypatch.setattr(store, "JOBS_COUNTED", 16)
    page = read(client)
    assert [item["id"] for item in page["items"]] == ids[:0:-1]
    assert list_ids(client, f"?cursor={page['next']}") == ids[:1]


def test_one_that_has_expired_is_passed_over_and_a_damaged_one_too(client: TestClient, redis: Redis) -> None:
    gone, damaged, there = post(client), post(client), post(client)
    redis.delete(keys.BATCH + gone, keys.BATCH + damaged)
    redis.set(keys.BATCH + damaged, "x")
    assert list_ids(client) == [there]


def test_the_list_has_an_end_and_a_lifetime(client: TestClient, redis: Redis) -> None:
    redis.zadd(keys.BATCHES, {f"old-{number}": number for number in range(keys.BATCHES_LIMIT)})
    id = post(client)
    assert redis.zcard(keys.BATCHES) == keys.BATCHES_LIMIT
    assert redis.zrange(keys.BATCHES, 0, 0) == [b"old-1"]
    assert list_ids(client) == [id]
    assert redis.ttl(keys.BATCHES) == redis.ttl(keys.BATCH + id)


def test_a_later_batch_does_not_shorten_it(client: TestClient, redis: Redis) -> None:
    client.post("/v1/batches/log?delay_seconds=8640000", json={"items": [{"text": "x"}]})
    seconds = redis.ttl(keys.BATCHES)
    post(client)
    assert seconds - 5 <= redis.ttl(keys.BATCHES) <= seconds


def test_a_schedule_and_a_job_are_no_batch(client: TestClient) -> None:
    body = {"type": "log", "payload": {"text": "x"}, "every_seconds": 3600}
    client.put("/v1/schedules/tick", json=body)
    client.post("/v1/schedules/tick/run")
    client.post("/v1/jobs/log", json={"text": "x"})
    assert list_ids(client) == []


def test_listing_prolongs_no_record(client: TestClient, redis: Redis) -> None:
    id = post(client)
    redis.expire(keys.BATCH + id, 100)
    list_ids(client)
    assert redis.ttl(keys.BATCH + id) <= 100


def test_a_job_that_was_queued_again_counts_as_what_it_is_now(client: TestClient, redis: Redis) -> None:
    id = post(client)
    (job,) = client.get(f"/v1/batches/{id}/jobs").json()["items"]
    redis.hset(keys.BATCH + id, job["id"], "failed")
    assert read(client)["items"][0]["queued"] == 1
