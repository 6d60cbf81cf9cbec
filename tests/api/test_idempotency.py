"""The header `Idempotency-Key`."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from starlette.testclient import TestClient

from errand import job
from errand.api.http.auth import make_key
from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from tests.support.connectors import create_app
from tests.support.job_types import TYPES
from tests.support.proxies import Proxy
from tests.support.waiting import wait_until

URL = "/v1/jobs/log"
BODY = {"text": "x"}
ITEMS = {"items": [{"text": str(number)} for number in range(3)]}
SECRET, ENTRY = make_key("ops")
NEW_SECRET, NEW_ENTRY = make_key("ops")
OTHER_SECRET, OTHER_ENTRY = make_key("ci")


def post(client: Any, url: str = URL, body: Any = BODY, key: Any = "order-7", **headers: str) -> Any:
    return client.post(url, json=body, headers={"Idempotency-Key": key, **headers})


def read(answer: Any) -> tuple[int, str, Any]:
    """What must be the same each time."""
    return answer.status_code, answer.headers["location"], answer.json()


def dump(redis: Redis) -> dict[bytes, bytes]:
    keys: list[Any] = redis.keys()
    return {key: redis.dump(key) for key in keys}


def is_replayed(answer: Any) -> bool:
    return answer.headers.get("idempotency-replayed") == "true"


@pytest.mark.parametrize(
    ("url", "body"),
    [
        (URL, BODY),
        (f"{URL}?delay_seconds=90.5", BODY),
        (f"{URL}?run_at=2030-01-01T12:00:00.5Z", BODY),
        ("/v1/batches/log", ITEMS),
        ("/v1/batches/log?delay_seconds=90.5", ITEMS),
    ],
)
def test_the_same_request_again_gets_the_same_answer_and_stores_nothing(
    client: TestClient, redis: Redis, url: str, body: Any
) -> None:
    first = post(client, url, body)
    kept = dump(redis)
    again = [post(client, url, body) for _ in range(2)]
    assert first.status_code == 202
    assert [read(answer) for answer in again] == [read(first)] * 2
    assert [is_replayed(answer) for answer in (first, *again)] == [False, True, True]
    assert dump(redis) == kept


def test_every_link_of_a_replayed_batch_leads_to_a_job(client: TestClient) -> None:
    post(client, "/v1/batches/log", ITEMS)
    batch = post(client, "/v1/batches/log", ITEMS).json()
    read = [client.get(job["links"]["self"]).json() for job in batch["jobs"]]
    assert [job["created_at"] for job in read] == [job["created_at"] for job in batch["jobs"]]
    assert {job["links"]["batch"] for job in read} == {batch["links"]["self"]}
    assert client.get(batch["links"]["self"]).json()["queued"] == 3


@pytest.mark.parametrize(("url", "body"), [(URL, BODY), ("/v1/batches/log", ITEMS)])
def test_the_answer_outlives_the_job(client: TestClient, redis: Redis, url: str, body: Any) -> None:
    first = post(client, url, body)
    redis.delete(*redis.keys("rq:*"), *redis.keys("errand:batch:*"))  # what their lifetimes do
    assert read(post(client, url, body)) == read(first)
    assert redis.keys("rq:*") == []


def test_the_answer_keeps_its_status_when_the_job_has_gone_on(client: TestClient, redis: Redis) -> None:
    first = post(client)
    redis.hset(f"rq:job:{first.json()['id']}", "status", "finished")
    assert read(post(client)) == read(first)


def test_a_run_at_that_has_passed_meanwhile_is_still_the_same(client: TestClient) -> None:
    run_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    url = f"{URL}?run_at={run_at.isoformat().replace('+', '%2B')}"
    first = post(client, url)
    wait_until(lambda: datetime.now(UTC) > run_at)
    assert first.json()["status"] == "scheduled"
    assert read(post(client, url)) == read(first)


def test_spelling_makes_no_difference(client: TestClient) -> None:
    """The order of the fields, white space, escapes, quotes around the key."""
    first = client.post(
        URL,
        content='{"text": "x", "attributes": {"a": 1, "b": 2}}',
        headers={"Content-Type": "application/json", "Idempotency-Key": "order-7"},
    )
    again = client.post(
        URL,
        content='{"attributes":{"b":2,"a":1},\n"text":"\\u0078"}',
        headers={"Content-Type": "application/json", "Idempotency-Key": '"order-7"'},
    )
    assert read(again) == read(first)


def test_values_of_a_parameter_that_repeats_are_all_part_of_the_request(client: TestClient) -> None:
    assert post(client, f"{URL}?tag=a&tag=z").status_code == 202
    assert post(client, f"{URL}?tag=b&tag=z").status_code == 422
    assert post(client, f"{URL}?tag=a&tag=z").headers["Idempotency-Replayed"] == "true"


def test_jobs_of_a_batch_are_replayed_with_their_own_statuses(client: TestClient) -> None:
    url, body = "/v1/batches/log?concurrency_key=k&concurrency=1", {"items": [BODY] * 3}
    first, again = post(client, url, body).json(), post(client, url, body).json()
    assert [job["status"] for job in first["jobs"]] == ["queued", "rate_limited", "rate_limited"]
    assert [job["status"] for job in again["jobs"]] == ["queued", "rate_limited", "rate_limited"]


@pytest.mark.parametrize(
    ("url", "body"),
    [
        (URL, {"text": "y"}),
        (URL, {"text": "x", "level": "notice"}),
        (f"{URL}?delay_seconds=0", BODY),
        ("/v1/jobs/tally", {"number": 7}),
        ("/v1/batches/log", {"items": [BODY]}),
    ],
)
def test_another_request_under_the_key_is_refused_and_stores_nothing(
    client: TestClient, redis: Redis, url: str, body: Any
) -> None:
    post(client)
    kept = dump(redis)
    answer = post(client, url, body)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:problem-type:errand:idempotency-key-reused")
    assert "use a new key" in answer.json()["detail"]
    assert dump(redis) == kept


def test_the_same_body_for_another_type_is_another_request(queue_settings: QueueSettings) -> None:
    @job()
    def run(text: str) -> None: ...

    app = create_app(ApiSettings(ERRAND_LOCAL=True), queue_settings, TYPES | {run.type: run})
    with TestClient(app, base_url="http://localhost") as client:
        assert [post(client, url).status_code for url in (URL, f"/v1/jobs/{run.type}")] == [202, 422]


def test_another_time_under_the_key_is_refused(client: TestClient) -> None:
    post(client, f"{URL}?delay_seconds=60")
    for query in ("", "?delay_seconds=61", "?run_at=2030-01-01T12:00:00Z"):
        assert post(client, URL + query).status_code == 422


def test_batches_with_their_items_in_another_order_differ(client: TestClient) -> None:
    post(client, "/v1/batches/log", ITEMS)
    assert post(client, "/v1/batches/log", {"items": ITEMS["items"][::-1]}).status_code == 422


def test_a_set_is_the_same_in_any_order(queue_settings: QueueSettings) -> None:
    """Its order as stored differs from process to process."""

    @job()
    def run(tags: set[int], names: dict[str, list[frozenset[int]]]) -> None: ...

    app = create_app(ApiSettings(ERRAND_LOCAL=True), queue_settings, TYPES | {run.type: run})
    with TestClient(app, base_url="http://localhost") as client:
        url = f"/v1/jobs/{run.type}"
        first = post(client, url, {"tags": [0, 8], "names": {"a": [[0, 8]]}})
        again = post(client, url, {"tags": [8, 0], "names": {"a": [[8, 0]]}})
        assert read(again) == read(first)
        assert post(client, url, {"tags": [0, 9], "names": {"a": [[0, 8]]}}).status_code == 422


def test_keys_are_independent(client: TestClient, redis: Redis) -> None:
    answers = [post(client, key=key) for key in ("order-7", "order-8", "Order-7", "order")]
    assert [is_replayed(answer) for answer in answers] == [False] * 4
    assert redis.llen("rq:queue:log") == 4


def test_a_secret_key_is_in_redis_as_a_hash_only(client: TestClient, redis: Redis) -> None:
    post(client, key="my-secret-order", body={"text": "x"})
    (record,) = redis.keys("errand:idempotency:*")
    assert b"secret" not in record + redis.get(record)
    assert len(record) == len("errand:idempotency:") + 64
    assert redis.ttl(record) == 24 * 3600


@pytest.fixture
def keyed(queue_settings: QueueSettings) -> Iterator[TestClient]:
    """The API with two callers; one of them is about to replace its secret."""
    app = create_app(ApiSettings(API_KEYS=f"{ENTRY},{OTHER_ENTRY},{NEW_ENTRY}"), queue_settings, TYPES)
    with TestClient(app, base_url="https://errand.example.com") as client:
        yield client


def test_each_caller_has_keys_of_its_own(keyed: TestClient, redis: Redis) -> None:
    answers = [post(keyed, Authorization=f"Bearer {secret}") for secret in (SECRET, OTHER_SECRET)]
    assert [is_replayed(answer) for answer in answers] == [False, False]
    assert redis.llen("rq:queue:log") == 2


def test_a_callers_new_secret_finds_what_the_old_one_stored(keyed: TestClient) -> None:
    first, again = (post(keyed, Authorization=f"Bearer {secret}") for secret in (SECRET, NEW_SECRET))
    assert read(again) == read(first)


def test_without_a_known_secret_a_key_finds_nothing(keyed: TestClient) -> None:
    post(keyed, Authorization=f"Bearer {SECRET}")
    assert post(keyed).status_code == 401


@pytest.mark.parametrize(
    "key", ["a", "a" * 255, f'"{"a" * 255}"', "order=7;a,b", "don't", 'a"b', "\\", '"a\\"b\\\\"', "%20", "[1]"]
)
def test_visible_keys_are_taken(client: TestClient, key: str) -> None:
    assert post(client, key=key).status_code == 202


@pytest.mark.parametrize(
    "key",
    [
        "",
        '""',
        "a" * 256,
        f'"{"a" * 256}"',
        "a b",
        '"a b"',
        " a",
        "a ",
        "a\tb",
        "é",
        "\x7f",
        '"a',
        '"a"b"',
        '"',
        '"a\\b"',
    ],
)
@pytest.mark.parametrize(("url", "body"), [(URL, BODY), ("/v1/batches/log", ITEMS)])
def test_any_other_key_is_refused_by_name(client: TestClient, redis: Redis, url: str, body: Any, key: str) -> None:
    answer = post(client, url, body, key.encode("latin-1"))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:problem-type:errand:invalid-parameter")
    assert answer.json()["errors"][0]["parameter"] == "Idempotency-Key"
    assert redis.keys() == []


def test_two_keys_are_refused(client: TestClient) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    assert client.post(URL, json=BODY, headers=headers).status_code == 422


def test_a_generated_key_is_taken_if_it_is_visible_and_refused_otherwise(client: TestClient) -> None:
    odd = st.characters(max_codepoint=255, exclude_characters="\r\n\0")

    @settings(max_examples=500, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.text(st.sampled_from('ab"\\ ~!') | odd, max_size=6))
    def check(key: str) -> None:
        visible = key != "" and all("!" <= character <= "~" for character in key)
        if key.startswith('"'):
            inside = key[1:-1].replace("\\\\", "").replace('\\"', "")
            visible = visible and len(key) > 2 and key.endswith('"') and not set(inside) & set('"\\')
        assert post(client, key=key.encode("latin-1")).status_code == (202 if visible else 422)

    check()


@pytest.mark.parametrize(
    ("url", "body", "status"),
    [
        (URL, {"text": 7}, 422),
        (URL, {"text": "x", "attributes": {"a": float("inf")}}, 422),
        (f"{URL}?delay_seconds=-1", BODY, 422),
        ("/v1/jobs/no_such_type", BODY, 404),
        ("/v1/batches/log", {"items": []}, 422),
    ],
)
def test_a_refused_request_leaves_its_key_free(
    client: TestClient, redis: Redis, url: str, body: Any, status: int
) -> None:
    headers = {"Idempotency-Key": "order-7", "Content-Type": "application/json"}
    assert client.post(url, content=json.dumps(body), headers=headers).status_code == status
    assert redis.keys() == []
    answer = post(client)
    assert (answer.status_code, is_replayed(answer)) == (202, False)


@pytest.mark.valkey
def test_a_full_redis_leaves_the_key_free(client: TestClient, redis: Redis) -> None:
    redis.config_set("maxmemory", 1)
    refused = post(client)
    redis.config_set("maxmemory", 0)
    assert (refused.status_code, redis.keys()) == (503, [])
    answers = []
    wait_until(lambda: answers.append(post(client)) or answers[-1].status_code == 202)
    assert not is_replayed(answers[-1])


def test_without_the_header_equal_requests_are_two_jobs_and_no_record(client: TestClient, redis: Redis) -> None:
    ids = {client.post(URL, json=BODY).json()["id"] for _ in range(2)}
    assert len(ids) == 2
    assert redis.keys("errand:idempotency:*") == []


@pytest.mark.parametrize(("url", "body"), [(URL, BODY), ("/v1/batches/log", ITEMS), (URL, {"text": "x" * 70_000})])
def test_without_the_header_a_request_does_not_come_to_the_protocol(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, url: str, body: Any
) -> None:
    called = Mock(side_effect=AssertionError("called"))
    for name in ("request_intake.read_key", "request_intake.claim_with", "store_once.replay"):
        monkeypatch.setattr(f"errand.api.{name}", called)
    assert client.post(url, json=body).status_code == 202
    assert post(client, url, body).status_code == 500


def test_where_no_job_is_posted_the_header_does_not_count(client: TestClient) -> None:
    answers = [post(client, "/send-notification/ada@example.com?message=x", None, "a b") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]


def test_of_fifty_requests_at_once_one_is_first(queue_settings: QueueSettings, redis: Redis) -> None:
    app = create_app(ApiSettings(API_KEYS=ENTRY), queue_settings, TYPES)
    headers = {"Idempotency-Key": "order-7", "Authorization": f"Bearer {SECRET}"}

    async def race() -> list[Any]:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://errand") as client:
            answers = await asyncio.gather(*(client.post(URL, json=BODY, headers=headers) for _ in range(50)))
        await app.state.store.server.redis.aclose()
        return answers

    answers = asyncio.run(race())
    assert Counter(map(is_replayed, answers)) == {True: 49, False: 1}
    assert [read(answer) for answer in answers] == [read(answers[0])] * 50
    assert redis.lrange("rq:queue:log", 0, -1) == [answers[0].json()["id"].encode()]


@pytest.mark.valkey
def test_a_reply_of_redis_that_was_lost_makes_no_replay(redis: Redis, queue_settings: QueueSettings) -> None:
    async def main() -> tuple[Any, Any, int]:
        with Proxy(queue_settings.redis_url) as proxy:
            proxy.lose_reply()
            app = create_app(ApiSettings(API_KEYS=ENTRY), QueueSettings(REDIS_URL=proxy.url), TYPES)
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://errand") as client:
                client.headers["Authorization"] = f"Bearer {SECRET}"
                headers = {"Idempotency-Key": "order-7"}
                first, again = [await client.post(URL, json=BODY, headers=headers) for _ in range(2)]
                await app.state.store.server.redis.aclose()
        return first, again, proxy.cuts

    first, again, cuts = asyncio.run(main())
    assert (cuts, is_replayed(first), is_replayed(again)) == (1, False, True)
    assert read(again) == read(first)
    assert redis.llen("rq:queue:log") == 1


@pytest.mark.parametrize("path", [URL, "/v1/batches/log"])
def test_the_document_describes_it(client: TestClient, path: str) -> None:
    operation = client.get("/openapi.json").json()["paths"][path]["post"]
    (parameter,) = (one for one in operation["parameters"] if one["name"] == "Idempotency-Key")
    assert (parameter["in"], parameter["required"]) == ("header", False)
    assert {"delay_seconds", "run_at"} <= {one["name"] for one in operation["parameters"]}
    assert "Idempotency-Replayed" in operation["responses"]["202"]["headers"]
