"""A key of a wrong type under a POST: nothing is stored, and the answer names the key and what to do."""

import re
from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient

from tests.store.wrong import read_all, spoil

BODY = {"text": "x"}
LARGE = {"text": "y" * 100_000}
ITEMS = {"items": [{"text": "x"}, {"text": "y"}, {"text": "z"}]}
NEEDLESS = ("rq:queues", "rq:canceled:log")  # what can't be listed there is stored all the same
WAYS: dict[str, tuple[str, Any]] = {
    "plain": ("/v1/jobs/log", BODY),
    "tagged": ("/v1/jobs/log?tag=a&tag=b", BODY),
    "at the front": ("/v1/jobs/log?at_front=true", BODY),
    "delayed": ("/v1/jobs/log?delay_seconds=60", BODY),
    "expiring": ("/v1/jobs/log?expires_in_seconds=60", BODY),
    "limited": ("/v1/jobs/log?concurrency_key=k&concurrency=1", BODY),
    "unique": ("/v1/jobs/log?unique_key=k", BODY),
    "large": ("/v1/jobs/log", LARGE),
    "a batch": ("/v1/batches/log", ITEMS),
    "a batch at the front": ("/v1/batches/log?at_front=true&tag=a", ITEMS),
    "a limited batch": ("/v1/batches/log?concurrency_key=k&concurrency=2", ITEMS),
    "after another": ("/v1/jobs/log?after={parent}", BODY),
    "after one that failed": ("/v1/jobs/log?after={failed}", BODY),
    "until a requeue": ("/v1/jobs/log?after={failed}&on_failure=wait", BODY),
}


def prepare(client: TestClient, redis: Redis, url: str) -> str:
    """Empty the server but for the jobs that the URL names; return the URL with their ids."""
    redis.flushall()
    ids = {}
    for name in re.findall(r"{(\w+)}", url):
        ids[name] = client.post("/v1/jobs/tally", json={"number": 1}).json()["id"]
        if name == "failed":
            redis.hset(f"rq:job:{ids[name]}", "status", "failed")
            redis.expire(f"rq:job:{ids[name]}", 500)
            redis.lrem("rq:queue:default", 0, ids[name])
            redis.zadd("rq:failed:default", {ids[name]: 4_000_000_000})
    return url.format(**ids)


def send(client: TestClient, url: str, body: Any) -> Any:
    return client.post(url, json=body, headers={"Idempotency-Key": "order-7"})


def list_touched(client: TestClient, redis: Redis, url: str, body: Any) -> dict[str, str]:
    """Return the keys that such a POST changes, each with its type, but for those that bear an id of a job."""
    url = prepare(client, redis, url)
    before = read_all(redis)
    assert send(client, url, body).status_code == 202
    after = read_all(redis)
    changed = [key for key in sorted(after) if before.get(key) != after[key]]
    own = [key for key in changed if not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}|errand:body:", key)]
    return {key: redis.type(key).decode() for key in own}


@pytest.mark.parametrize("way", WAYS)
def test_all_or_none_whichever_key_is_wrong(client: TestClient, redis: Redis, way: str) -> None:
    url, body = WAYS[way]
    touched = list_touched(client, redis, url, body)
    assert len(touched) >= 4
    for key, expected in touched.items():
        asked, kind = prepare(client, redis, url), "list" if expected == "string" else "string"
        spoil(redis, key, kind)
        before = read_all(redis)
        answer = send(client, asked, body)
        if key in NEEDLESS:
            assert answer.status_code == 202
            continue
        assert answer.status_code == 503, (key, answer.text)
        shown = answer.json()
        assert shown["type"] == "urn:problem-type:errand:redis-wrong-type"
        assert f"The key {key} in Redis is a {kind}, not a {expected}; " in shown["detail"]
        assert f"RENAME {key} wrong:{key}" in shown["detail"]
        assert "Nothing was stored" in shown["detail"]
        assert answer.headers["retry-after"] == "2"
        assert without_holds(read_all(redis)) == without_holds(before), key


def without_holds(found: dict[str, Any]) -> dict[str, Any]:
    """Return what is there less the bodies, which lie there before their job does, as long as a request holds them."""
    return {key: value for key, value in found.items() if not key.startswith("errand:bod")}


def test_under_one_idempotency_key_a_job_is_stored_once_however_often_it_was_refused(
    client: TestClient, redis: Redis
) -> None:
    spoil(redis, "errand:indexes", "string")
    assert {send(client, "/v1/jobs/log", BODY).status_code for _ in range(4)} == {503}
    assert redis.keys("rq:*") == []
    redis.rename("errand:indexes", "wrong:errand:indexes")
    answers = [send(client, "/v1/jobs/log", BODY) for _ in range(4)]
    assert {answer.status_code for answer in answers} == {202}
    assert redis.llen("rq:queue:log") == len({answer.json()["id"] for answer in answers}) == 1


@pytest.mark.parametrize("key", ["rq:scheduled:log", "errand:expires", "errand:tag:b", "errand:index:log:log"])
@pytest.mark.parametrize("body", [BODY, LARGE])
def test_a_job_that_can_not_be_replaced_stays_as_it_was(
    client: TestClient, redis: Redis, key: str, body: dict[str, str]
) -> None:
    url = "/v1/jobs/log?unique_key=k&delay_seconds={}&expires_in_seconds=900&tag={}&unique=replace"
    first = client.post(url.format(60, "a"), json=LARGE).json()
    spoil(redis, key, "string")
    before = read_all(redis)
    answer = client.post(url.format(90, "b"), json=body)
    assert answer.status_code == 503
    assert key in answer.json()["detail"]
    assert without_holds(read_all(redis)) == without_holds(before)
    assert redis.exists(f"rq:job:{first['id']}")


def test_a_read_says_where_to_look(client: TestClient, redis: Redis) -> None:
    spoil(redis, "rq:queues", "string")
    answer = client.get("/v1/queues")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem-type:errand:redis-wrong-type")
    assert "/readyz names it" in answer.json()["detail"]
