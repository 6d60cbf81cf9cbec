"""`expires_in_seconds`: a job that nobody wants after a while."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient

EXPIRES = "errand:expires"
BODY = {"text": "x"}
MAIL = {"to": "ada@example.com", "subject": "Your code", "text": "1234"}
ITEMS = {"items": [{"text": str(number)} for number in range(3)]}


def post(client: TestClient, query: str, url: str = "/v1/jobs/log", body: Any = BODY, **headers: str) -> Any:
    return client.post(f"{url}?{query}", json=body, headers=headers)


def read_life(job: dict[str, Any]) -> timedelta:
    """How long after it was accepted it expires."""
    return datetime.fromisoformat(job["expires_at"]) - datetime.fromisoformat(job["created_at"])


def test_it_counts_from_when_the_job_was_accepted(client: TestClient, redis: Redis) -> None:
    posted = post(client, "expires_in_seconds=90.5").json()
    assert timedelta(seconds=90.5) <= read_life(posted) <= timedelta(seconds=90.502)
    read = client.get(posted["links"]["self"]).json()
    assert (read["expires_at"], read["status"]) == (posted["expires_at"], "queued")
    seconds = datetime.fromisoformat(posted["expires_at"]).timestamp()
    assert redis.zrange(EXPIRES, 0, -1, withscores=True) == [(posted["id"].encode(), round(seconds * 1000))]
    assert redis.hget(f"rq:job:{posted['id']}", "errand_expires_at") == posted["expires_at"].encode()


def test_a_job_without_it_has_nothing_of_it(client: TestClient, redis: Redis) -> None:
    posted = post(client, "tag=a").json()
    assert "expires_at" not in posted
    assert "expires_at" not in client.get(posted["links"]["self"]).json()
    assert not redis.exists(EXPIRES)
    assert not [name for name in redis.hgetall(f"rq:job:{posted['id']}") if b"expire" in name]


@pytest.mark.parametrize(("type", "body", "by"), [("log", BODY, None), ("email", MAIL, b"end")])
def test_the_record_says_by_when_it_must_have_done_what(
    client: TestClient, redis: Redis, type: str, body: Any, by: bytes | None
) -> None:
    posted = post(client, "expires_in_seconds=600", f"/v1/jobs/{type}", body).json()
    assert redis.hget(f"rq:job:{posted['id']}", "errand_expires_by") == by


@pytest.mark.parametrize("text", ["0", "0.9", "-1", "nan", "inf", "1e12", "soon", ""])
def test_what_is_no_such_span_is_refused(client: TestClient, redis: Redis, text: str) -> None:
    answer = post(client, f"expires_in_seconds={text}")
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "expires_in_seconds")
    assert redis.keys() == []


@pytest.mark.parametrize(
    "query",
    ["delay_seconds=60&expires_in_seconds=60", "run_at=2030-01-01T00:00:00Z&expires_in_seconds=3600"],
)
def test_to_expire_before_it_is_due_is_refused(client: TestClient, redis: Redis, query: str) -> None:
    answer = post(client, query)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["parameter"]) == (422, "expires_in_seconds")
    assert error["detail"].startswith("it would expire before it is due")
    assert redis.keys() == []


def test_a_delayed_job_may_expire_after_it_is_due(client: TestClient) -> None:
    posted = post(client, "delay_seconds=60&expires_in_seconds=62").json()
    assert posted["status"] == "scheduled"
    assert read_life(posted) < timedelta(seconds=62.002)


@pytest.mark.parametrize(("url", "body"), [("/v1/jobs/log", BODY), ("/v1/batches/log", ITEMS)])
def test_a_request_sent_again_keeps_the_first_expiry(client: TestClient, redis: Redis, url: str, body: Any) -> None:
    first = post(client, "expires_in_seconds=600", url, body, **{"Idempotency-Key": "code-7"})
    kept = redis.zrange(EXPIRES, 0, -1, withscores=True)
    again = post(client, "expires_in_seconds=600", url, body, **{"Idempotency-Key": "code-7"})
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    assert redis.zrange(EXPIRES, 0, -1, withscores=True) == kept


def test_another_span_under_the_same_key_is_another_request(client: TestClient) -> None:
    post(client, "expires_in_seconds=600", **{"Idempotency-Key": "code-7"})
    answer = post(client, "expires_in_seconds=601", **{"Idempotency-Key": "code-7"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:problem-type:errand:idempotency-key-reused")


def test_each_item_of_a_batch_expires(client: TestClient, redis: Redis) -> None:
    jobs = post(client, "expires_in_seconds=600", "/v1/batches/log", ITEMS).json()["jobs"]
    assert len({job["expires_at"] for job in jobs}) == 1
    assert set(redis.zrange(EXPIRES, 0, -1)) == {job["id"].encode() for job in jobs}


def test_a_requeued_job_expires_no_more(client: TestClient, redis: Redis) -> None:
    posted = post(client, "expires_in_seconds=600").json()
    client.post(f"{posted['links']['self']}/cancel")
    answer = client.post(f"{posted['links']['self']}/requeue")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert "expires_at" not in answer.json()
    assert not redis.exists(EXPIRES)


def test_a_schedule_refuses_it(client: TestClient) -> None:
    body = {"type": "log", "payload": BODY, "every_seconds": 60, "expires_in_seconds": 60}
    answer = client.put("/v1/schedules/x", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/expires_in_seconds")


def test_a_damaged_expiry_hides_nothing_else(client: TestClient, redis: Redis) -> None:
    posted = post(client, "expires_in_seconds=600").json()
    redis.hset(f"rq:job:{posted['id']}", "errand_expires_at", "soon")
    assert client.get(posted["links"]["self"]).json()["status"] == "queued"
