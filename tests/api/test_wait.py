"""`Prefer: wait`, and answers that the client has already."""

import asyncio
import time
from pathlib import Path

import pytest
from redis import Redis
from starlette.requests import Request
from starlette.testclient import TestClient

from errand.api.http.wait import read_wait
from tests.support.services import Services
from tests.support.waiting import wait_until


def wait(seconds: int) -> dict[str, str]:
    return {"Prefer": f"wait={seconds}"}


@pytest.mark.quick
def test_the_answer_comes_when_the_job_has_ended(services: Services) -> None:
    services.start_api()
    services.start_worker()
    id = services.post("sleep", {"seconds": 0.5})
    began = time.monotonic()
    answer = services.call("GET", f"/v1/jobs/{id}", headers=wait(20))
    assert (answer.status, answer.body["status"], answer.body["result"]) == (200, "finished", "slept")
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert time.monotonic() - began < 10


def test_a_job_that_fails_in_time_is_a_200_too(services: Services, tmp_path: Path) -> None:
    services.start_api()
    services.start_worker()
    id = services.post("fail", {"ledger": str(tmp_path / "ledger"), "permanent": True})
    answer = services.call("GET", f"/v1/jobs/{id}", headers=wait(20))
    assert (answer.status, answer.body["status"]) == (200, "failed")


def test_it_waits_for_a_plain_rq_worker_too(services: Services) -> None:
    services.start_api()
    id = services.post("echo", {"value": 1})
    services.start_plain_worker()
    assert services.call("GET", f"/v1/jobs/{id}", headers=wait(20)).body["status"] == "finished"


def test_a_job_that_takes_longer_is_shown_as_it_is(client: TestClient) -> None:
    id = client.post("/v1/jobs/log", json={"text": "x"}).json()["id"]
    began = time.monotonic()
    answer = client.get(f"/v1/jobs/{id}", headers=wait(1))
    assert 1 <= time.monotonic() - began < 3
    assert (answer.status_code, answer.json()["status"]) == (200, "queued")
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert answer.headers["Retry-After"] == "1"


def test_a_job_deleted_meanwhile_is_a_404(services: Services, redis: Redis) -> None:
    services.start_api()
    id = services.post("echo", {"value": 1})
    asked = asyncio.new_event_loop()
    answer = asked.run_in_executor(None, services.call, "GET", f"/v1/jobs/{id}", None, wait(20))
    wait_until(lambda: redis.pubsub_numsub("errand:events")[0][1])
    redis.delete(f"rq:job:{id}")
    assert asked.run_until_complete(answer).status == 404
    asked.close()


def test_a_post_may_wait_for_its_job(services: Services) -> None:
    services.start_api()
    services.start_worker()
    ended = services.call("POST", "/v1/jobs/echo", {"value": 7}, wait(20))
    assert (ended.status, ended.body["status"], ended.body["result"]) == (200, "finished", 7)
    assert ended.headers["Location"] == f"/v1/jobs/{ended.body['id']}"
    assert ended.headers["Preference-Applied"] == "wait=20"
    late = services.call("POST", "/v1/jobs/sleep?delay_seconds=60", {}, wait(1))
    assert (late.status, late.body["status"]) == (202, "scheduled")


@pytest.mark.quick
def test_batches_are_waited_for_too(services: Services) -> None:
    services.start_api()
    services.start_worker()
    items = {"items": [{"seconds": 0.5}, {"seconds": 0.2}]}
    ended = services.call("POST", "/v1/batches/sleep", items, wait(20))
    assert (ended.status, ended.body["finished"], ended.body["percent"]) == (200, 2, 100)
    assert (ended.headers["Preference-Applied"], ended.headers["Location"]) == ("wait=20", ended.body["links"]["self"])
    stored = services.call("POST", "/v1/batches/sleep", items)
    answer = services.call("GET", stored.body["links"]["self"], headers=wait(20))
    assert (answer.status, answer.body["finished"]) == (200, 2)
    assert answer.headers["Preference-Applied"] == "wait=20"


def test_a_batch_that_takes_longer_is_shown_as_it_is(client: TestClient) -> None:
    answer = client.post("/v1/batches/log", json={"items": [{"text": "x"}]}, headers=wait(1))
    assert (answer.status_code, len(answer.json()["jobs"])) == (202, 1)
    assert answer.headers["Preference-Applied"] == "wait=1"
    again = client.get(answer.headers["Location"], headers=wait(0))
    assert (again.status_code, again.json()["queued"], again.headers["Retry-After"]) == (200, 1, "1")
    assert again.headers["Preference-Applied"] == "wait=0"


def read(*headers: str) -> int | None:
    return read_wait(Request({"type": "http", "headers": [(b"prefer", header.encode()) for header in headers]}))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=10", 10),
        ("Wait = 10", 10),
        ('wait="7"', 7),
        ("respond-async, wait=3", 3),
        ("wait=3; foo=bar, wait=9", 3),
        ("wait=0", 0),
        ("wait=3600", 25),
        ("wait=99999999999", 25),
        (f'wait="{"9" * 5000}"', 25),
        (f"wait={'0' * 5000}7", 7),
        ('say="a, wait=9", wait=4', 4),
        (r'say="\", wait=9", wait=4', 4),
        ('say="wait=9', None),
        ("wait=ten", None),
        ("wait=-1", None),
        ("wait=+5", None),
        ("wait=5.5", None),
        ("wait=1e9", None),
        ('wait="5', None),
        ("wait=٣", None),
        ("wait", None),
        ("waiting=3", None),
        ("wait-for=5, wait=4", 4),
        ("", None),
    ],
)
def test_the_preference_is_read_as_rfc_7240_has_it(header: str, seconds: int | None) -> None:
    assert read(header) == seconds


def test_what_was_honoured_is_shown_where_it_was_less_than_asked(client: TestClient) -> None:
    id = client.post("/v1/jobs/log?delay_seconds=60", json={"text": "x"}).json()["id"]
    client.post(f"/v1/jobs/{id}/cancel")
    answer = client.get(f"/v1/jobs/{id}", headers={"Prefer": "wait=99999999999"})
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=25")


def test_the_preference_may_stand_in_a_header_of_its_own() -> None:
    assert read("respond-async", "wait=5") == 5
    assert read() is None


def test_an_unchanged_job_is_a_304(client: TestClient, redis: Redis) -> None:
    id = client.post("/v1/jobs/log", json={"text": "x"}).json()["id"]
    first = client.get(f"/v1/jobs/{id}")
    tag = first.headers["ETag"]
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(f"/v1/jobs/{id}", headers={"If-None-Match": given})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag), given
        assert again.headers["Retry-After"] == "1"
    redis.hset(f"rq:job:{id}", "status", "started")
    changed = client.get(f"/v1/jobs/{id}", headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["status"]) == (200, "started")
    assert changed.headers["ETag"] != tag


def test_another_tag_is_no_304(client: TestClient) -> None:
    id = client.post("/v1/jobs/log", json={"text": "x"}).json()["id"]
    tag = client.get(f"/v1/jobs/{id}").headers["ETag"]
    for given in ("", "x", '""', tag.strip('"'), tag[:-2] + '"'):
        assert client.get(f"/v1/jobs/{id}", headers={"If-None-Match": given}).status_code == 200, given


def test_an_unchanged_batch_is_a_304(client: TestClient, redis: Redis) -> None:
    stored = client.post("/v1/batches/log", json={"items": [{"text": "x"}]}).json()
    tag = client.get(stored["links"]["self"]).headers["ETag"]
    assert client.get(stored["links"]["self"], headers={"If-None-Match": tag}).status_code == 304
    redis.hset(f"rq:job:{stored['jobs'][0]['id']}", "status", "started")
    assert client.get(stored["links"]["self"], headers={"If-None-Match": tag}).status_code == 200


def test_head_shows_the_tag(client: TestClient) -> None:
    id = client.post("/v1/jobs/log", json={"text": "x"}).json()["id"]
    assert client.head(f"/v1/jobs/{id}").headers["ETag"] == client.get(f"/v1/jobs/{id}").headers["ETag"]
