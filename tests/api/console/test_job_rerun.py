"""Running a job again from its page: as a new job, or the same one with another payload."""

import json
import re
from collections.abc import Callable

import pytest
from httpx2 import Response
from redis import Redis
from starlette.testclient import TestClient

from errand.redis import keys
from tests.api.console.conftest import OURS
from tests.api.stored import Stored

Post = Callable[..., str]
LARGE = "x" * (keys.BODY_BYTES + 1)


def end(redis: Redis, id: str, status: str = "failed", queue: str = "default") -> None:
    """Record an end as RQ does."""
    redis.lrem(keys.QUEUE + queue, 0, id)
    redis.hset(keys.JOB + id, mapping={"status": status, "errand_attempts": 1})
    redis.zadd(keys.FAILED + queue, {id: 1})


def show(client: TestClient, id: str) -> dict[str, object]:
    return client.get(f"/v1/jobs/{id}?fields=payload").json()


def find_fields(text: str) -> dict[str, str]:
    """The hidden fields of a page's form."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)"', text))


def edit(client: TestClient, id: str, payload: object, **fields: str) -> Response:
    sent = {**find_fields(client.get(f"/console/jobs/{id}/edit").text), "payload": payload, **fields}
    return client.post(f"/console/jobs/{id}/edit", data=sent, headers=OURS)


def test_a_job_runs_again_as_a_new_one_with_its_payload_and_options(
    client: TestClient, redis: Redis, post: Post
) -> None:
    asked = "tag=a&tag=b&tries=2&timeout_seconds=9&concurrency_key=k&concurrency=3&expires_in_seconds=900&at_front=true"
    id = post("tally", asked, number=5)
    end(redis, id)
    page = client.post(f"/console/jobs/{id}/again", headers=OURS)
    new = page.url.path.rpartition("/")[2]
    assert new != id
    assert "This is the new job" in page.text
    old, made = show(client, id), show(client, new)
    assert [made[name] for name in ("type", "payload", "tags")] == ["tally", {"number": 5}, ["a", "b"]]
    assert (made["retries_left"], made["status"], old["status"]) == (1, "queued", "failed")
    kept = ("timeout", "rate_limit_key", "rate_limit_concurrency", "enqueue_at_front", "result_ttl", "failure_ttl")
    before, after = redis.hmget(keys.JOB + id, kept), redis.hmget(keys.JOB + new, kept)
    assert before == after
    assert all(after)
    assert redis.hexists(keys.JOB + new, "errand_expires_at")


def test_a_double_click_makes_one_new_job(client: TestClient, redis: Redis, post: Post) -> None:
    id = post("tally", number=5)
    end(redis, id)
    fields = find_fields(client.get(f"/console/jobs/{id}").text)
    pages = [client.post(f"/console/jobs/{id}/again", data=fields, headers=OURS) for _ in range(2)]
    assert pages[0].url.path == pages[1].url.path
    assert "The form was sent twice" in pages[1].text
    assert find_fields(client.get(f"/console/jobs/{id}").text) != fields


def test_what_lies_outside_of_a_job_comes_with_its_new_one(client: TestClient, redis: Redis, post: Post) -> None:
    id = post("log", text=LARGE, level="error")
    end(redis, id, queue="log")
    page = client.post(f"/console/jobs/{id}/again", headers=OURS)
    new = page.url.path.rpartition("/")[2]
    assert show(client, new)["payload"] == show(client, id)["payload"]
    (name,) = redis.hmget(keys.JOB + new, "errand_bodies")
    assert redis.zscore(keys.BODY_HOLDS, f"{name.decode()}:{new}") == 0
    assert redis.zcard(keys.BODY_HOLDS) == 2


def test_a_payload_of_which_a_part_is_gone_is_not_run_again(client: TestClient, redis: Redis, post: Post) -> None:
    id = post("log", text=LARGE)
    end(redis, id, queue="log")
    redis.delete(*redis.keys(keys.BODY + "*"))
    page = client.post(f"/console/jobs/{id}/again", headers=OURS)
    assert (page.status_code, "not whole any more" in page.text) == (409, True)


@pytest.mark.parametrize("state", ["failed", "queued"])
def test_a_job_of_no_type_of_ours_or_that_has_not_ended_is_not_run_again(
    client: TestClient, redis: Redis, stored: Stored, post: Post, state: str
) -> None:
    id = stored.failed().id if state == "failed" else post("tally", number=1)
    text = client.get(f"/console/jobs/{id}").text
    assert 'form="again"' not in text
    page = client.post(f"/console/jobs/{id}/again", headers=OURS)
    assert (page.status_code, 'id="fault"' in page.text) == (409, True)


def test_a_job_is_requeued_with_an_edited_payload_and_keeps_the_one_before(
    client: TestClient, redis: Redis, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "errand.api")
    id = post("tally", number=5)
    end(redis, id)
    page = edit(client, id, '{"number": 6}')
    assert (page.url.path, show(client, id)["payload"], show(client, id)["status"]) == (
        f"/console/jobs/{id}",
        {"number": 6},
        "queued",
    )
    assert "Payload edited" in page.text
    assert "changed: number" in page.text
    assert client.get(f"/console/jobs/{id}/raw/payload-0").json() == {"number": 5}
    assert client.get(f"/console/jobs/{id}/raw/payload-1").status_code == 404
    assert any(f"job {id} requeued with an edited payload" in line for line in caplog.messages)
    assert not any('"number"' in line for line in caplog.messages)


def test_of_many_edits_the_first_payload_stays_and_the_last_ones(client: TestClient, redis: Redis, post: Post) -> None:
    id = post("tally", number=0)
    for number in range(1, keys.EDITS_LIMIT + 3):
        end(redis, id)
        assert edit(client, id, f'{{"number": {number}}}').status_code == 200
    kept = [client.get(f"/console/jobs/{id}/raw/payload-{n}").json()["number"] for n in range(keys.EDITS_LIMIT)]
    assert kept == [0, *range(3, keys.EDITS_LIMIT + 2)]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"number": -1}', "#/number</code> Input should be greater than or equal to 0"),
        ('{"number": 1, "more": 2}', "#/more</code> Extra inputs are not permitted"),
        ('{"number": 1', "Invalid JSON: EOF while parsing"),
        ('{"number": NaN}', "#/number</code> Input should be"),
    ],
)
def test_an_edited_payload_that_does_not_fit_says_where_and_keeps_what_was_written(
    client: TestClient, redis: Redis, post: Post, text: str, error: str
) -> None:
    id = post("tally", number=5)
    end(redis, id)
    page = edit(client, id, text)
    assert (page.status_code, error in page.text) == (422, True)
    assert text.replace('"', "&#34;") in page.text
    assert show(client, id)["payload"] == {"number": 5}


def test_a_payload_that_was_changed_meanwhile_is_not_overwritten(client: TestClient, redis: Redis, post: Post) -> None:
    id = post("tally", number=5)
    end(redis, id)
    fields = find_fields(client.get(f"/console/jobs/{id}/edit").text)
    edit(client, id, '{"number": 6}')
    end(redis, id)
    page = client.post(f"/console/jobs/{id}/edit", data={**fields, "payload": '{"number": 7}'}, headers=OURS)
    assert (page.status_code, "has been changed since" in page.text) == (409, True)
    assert show(client, id)["payload"] == {"number": 6}


def test_a_job_that_runs_meanwhile_keeps_its_payload(client: TestClient, redis: Redis, post: Post) -> None:
    id = post("tally", number=5)
    page = edit(client, id, '{"number": 6}', before="", key="")
    assert page.status_code == 409
    assert show(client, id)["payload"] == {"number": 5}


def test_an_edited_payload_may_be_run_as_a_new_job(client: TestClient, redis: Redis, post: Post) -> None:
    id = post("tally", "tag=a", number=5)
    end(redis, id)
    page = edit(client, id, '{"number": 6}', do="new")
    new = show(client, page.url.path.rpartition("/")[2])
    assert (new["payload"], new["tags"]) == ({"number": 6}, ["a"])
    assert (show(client, id)["payload"], show(client, id)["status"]) == ({"number": 5}, "failed")


def test_a_value_that_lies_outside_is_meant_by_what_stands_for_it(client: TestClient, redis: Redis, post: Post) -> None:
    id = post("log", text=LARGE, level="info")
    end(redis, id, queue="log")
    shown = client.get(f"/console/jobs/{id}/raw/payload").json()
    shown["level"] = "error"
    assert edit(client, id, json.dumps(shown)).status_code == 200
    now = client.get(f"/console/jobs/{id}/raw/payload").json()
    assert now == shown
    assert redis.strlen(keys.BODY + now["text"][keys.BODIES]["sha256"]) == len(LARGE) + 2
    assert redis.zrange(keys.BODY_HOLDS, 0, -1) == [f"{now['text'][keys.BODIES]['sha256']}:{id}".encode()]


def test_a_large_value_that_is_edited_away_goes(client: TestClient, redis: Redis, post: Post) -> None:
    id = post("log", text=LARGE)
    end(redis, id, queue="log")
    assert edit(client, id, '{"text": "small"}').status_code == 200
    assert (redis.zcard(keys.BODY_HOLDS), redis.keys(keys.BODY + "*")) == (0, [])
    assert not redis.hexists(keys.JOB + id, "errand_bodies")


def test_a_stand_in_for_another_s_value_is_none(client: TestClient, redis: Redis, post: Post) -> None:
    other = post("log", text=LARGE)
    id = post("log", text="mine")
    end(redis, id, queue="log")
    page = edit(client, id, json.dumps(client.get(f"/console/jobs/{other}/raw/payload").json()))
    assert page.status_code == 422
