"""/v1/queues, and what a POST says of a job's place in its queue."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter
from redis import Redis
from rq.utils import utcformat
from starlette.testclient import TestClient

from errand.api.routes.queues import QueueView
from tests.api.stored import Stored
from tests.api.test_why import add_worker, park
from tests.support.services import Services

ALL = {
    "queued",
    "started",
    "scheduled",
    "deferred",
    "ready_to_enqueue",
    "rate_limited",
    "finished",
    "failed",
    "canceled",
}


def post(client: TestClient, query: str = "") -> str:
    answer = client.post(f"/v1/jobs/log{query}", json={"text": "x"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def count(client: TestClient, name: str = "log") -> dict[str, int]:
    """Return the counts of a queue that are not 0."""
    jobs = client.get(f"/v1/queues/{name}").json()["jobs"]
    return {status: number for status, number in jobs.items() if number}


def test_all_queues_are_listed_those_of_job_types_and_those_in_redis(client: TestClient, redis: Redis) -> None:
    redis.sadd("rq:queues", "rq:queue:video")
    queues = client.get("/v1/queues").json()["items"]
    assert [queue["name"] for queue in queues] == ["default", "email", "log", "video", "webhook"]
    for queue in queues:
        TypeAdapter(QueueView).validate_python(queue, extra="forbid")
        assert set(queue["jobs"]) == ALL


@pytest.mark.parametrize("registry", ["queued", "scheduled", "deferred", "started", "finished", "failed", "canceled"])
def test_its_jobs_are_counted_by_status(client: TestClient, redis: Redis, registry: str) -> None:
    stored = Stored(redis, "log")
    stored.put_in(registry)
    others = {"scheduled": 1} if registry == "deferred" else {}  # what it waits for
    assert count(client) == {registry: 1, **others}
    assert count(client, "default") == {}


def test_what_has_expired_is_not_counted_and_nothing_is_cleaned_up(client: TestClient, redis: Redis) -> None:
    redis.zadd("rq:failed:log", {"a": 1, "b": 2_000_000_000, "c": -1})
    redis.zadd("rq:finished:log", {"a": 1, "b": "+inf"})
    before = {key: redis.dump(key) for key in redis.scan_iter()}
    assert count(client) == {"failed": 2, "finished": 1}
    assert {key: redis.dump(key) for key in redis.scan_iter()} == before


def test_those_that_wait_for_a_slot_are_counted(client: TestClient) -> None:
    for _ in range(5):
        post(client, "?concurrency_key=k&concurrency=2")
    post(client, "?concurrency_key=other&concurrency=1")
    assert count(client) == {"queued": 3, "rate_limited": 3}
    assert count(client, "email") == {}


def test_those_of_a_key_that_two_queues_use_are_counted_where_they_are(client: TestClient) -> None:
    for _ in range(3):
        post(client, "?concurrency_key=k&concurrency=1")
        client.post(
            "/v1/jobs/email?concurrency_key=k&concurrency=1",
            json=client.get("/openapi.json").json()["paths"]["/v1/jobs/email"]["post"]["requestBody"]["content"][
                "application/json"
            ]["example"],
        )
    assert count(client) == {"queued": 1, "rate_limited": 2}
    assert count(client, "email") == {"rate_limited": 3}


@pytest.fixture
def parked(client: TestClient, redis: Redis) -> str:
    """A job that waits for its type's rate."""
    id = post(client)
    redis.lpop("rq:queue:log")
    redis.zadd("errand:rated:log:log", {id: 1})
    redis.sadd("errand:rated", "errand:rated:log:log")
    return id


def test_what_waits_for_its_rate_is_queued(client: TestClient, parked: str) -> None:
    assert count(client) == {"queued": 1}
    assert client.get("/v1/queues/log").json()["oldest_at"] is not None
    for query in ("", "&queue=log"):
        assert [job["id"] for job in client.get(f"/v1/jobs?status=queued{query}").json()["items"]] == [parked]
    assert client.get("/v1/jobs?status=queued&queue=email").json()["items"] == []


@pytest.mark.parametrize("way", ["cancel", "delete"])
def test_what_waits_for_its_rate_is_canceled_and_deleted(
    client: TestClient, redis: Redis, parked: str, way: str
) -> None:
    answer = client.delete(f"/v1/jobs/{parked}") if way == "delete" else client.post(f"/v1/jobs/{parked}/cancel")
    assert answer.is_success
    assert redis.zcard("errand:rated:log:log") == 0
    assert count(client) == ({"canceled": 1} if way == "cancel" else {})


def test_the_age_is_that_of_the_oldest_queued_job(client: TestClient, redis: Redis) -> None:
    empty = client.get("/v1/queues/log").json()
    assert (empty["oldest_at"], empty["oldest_seconds"]) == (None, None)
    old = post(client)
    at = utcformat(datetime.now(UTC) - timedelta(seconds=100))
    redis.hset(f"rq:job:{old}", "enqueued_at", at)
    post(client, "?at_front=true")
    queue = client.get("/v1/queues/log").json()
    assert queue["oldest_at"] == at
    assert 100 <= queue["oldest_seconds"] < 110


@pytest.mark.parametrize("damaged", ["?", "2026", "0", "2026-99-99T00:00:00.000000Z"])
def test_a_damaged_time_hides_no_queue(client: TestClient, redis: Redis, damaged: str) -> None:
    good, bad = post(client), post(client)
    redis.hset(f"rq:job:{bad}", "enqueued_at", damaged)
    queue = client.get("/v1/queues/log").json()
    assert (queue["jobs"]["queued"], client.get("/v1/queues").status_code) == (2, 200)
    assert queue["oldest_at"] == redis.hget(f"rq:job:{good}", "enqueued_at").decode()
    assert client.post("/v1/queues/log/pause").json()["paused"]


@pytest.mark.parametrize(
    "registry", ["queue", "wip", "finished", "failed", "ready", "scheduled", "deferred", "canceled"]
)
def test_a_key_of_another_kind_counts_nothing(client: TestClient, redis: Redis, registry: str) -> None:
    redis.set(f"rq:{registry}:log", "?")
    assert client.get("/v1/queues").status_code == 200
    assert count(client) == {}


def test_a_key_whose_jobs_have_not_waited_yet_is_among_those_that_rq_cleans(client: TestClient, redis: Redis) -> None:
    post(client, "?concurrency_key=k&concurrency=2&delay_seconds=60")
    assert redis.exists("rq:rl:k")
    assert redis.smembers("rq:rl-keys") == {b"k"}


def test_an_unknown_queue_is_a_404_that_lists_the_queues(client: TestClient, redis: Redis) -> None:
    for method, path in (("GET", ""), ("POST", "/pause"), ("POST", "/resume")):
        problem = client.request(method, f"/v1/queues/nothing{path}").json()
        assert (problem["status"], problem["type"]) == (404, "urn:problem-type:errand:no-such-queue")
        assert "there are default, email, log" in problem["detail"]
    assert redis.keys() == []


def test_a_queue_is_paused_and_resumed(client: TestClient, redis: Redis) -> None:
    assert client.get("/v1/queues/log").json()["state"] == "active"
    for _ in range(2):
        queue = client.post("/v1/queues/log/pause").json()
        assert (queue["paused"], queue["state"]) == (True, "drained")
    assert [queue["name"] for queue in client.get("/v1/queues").json()["items"] if queue["paused"]] == ["log"]
    with redis.pubsub() as listener:
        listener.subscribe("errand:work")
        listener.get_message(timeout=1)
        queue = client.post("/v1/queues/log/resume").json()
        message = listener.get_message(timeout=1)
    assert (queue["paused"], queue["state"]) == (False, "active")
    assert message
    assert message["data"] == b"log"
    assert client.post("/v1/queues/log/resume").json()["paused"] is False


def test_a_paused_queue_drains_while_its_jobs_run(client: TestClient, redis: Redis) -> None:
    Stored(redis, "log").started()
    assert client.post("/v1/queues/log/pause").json()["state"] == "draining"


def test_what_is_posted_at_the_front_keeps_its_order_there(client: TestClient, redis: Redis) -> None:
    post(client)
    items = {"items": [{"text": str(number)} for number in range(3)]}
    jobs = client.post("/v1/batches/log?at_front=true", json=items).json()["jobs"]
    limited = client.post("/v1/batches/log?at_front=true&concurrency_key=k&concurrency=2", json=items).json()["jobs"]
    ids = [job["id"] for job in (*limited[:2], *jobs)]
    assert [id.decode() for id in redis.lrange("rq:queue:log", 0, 4)] == ids
    assert [job["status"] for job in limited] == ["queued", "queued", "rate_limited"]


def test_the_last_post_says_how_many_may_run_under_a_key(client: TestClient) -> None:
    for concurrency in (1, 1, 1, 3):
        post(client, f"?concurrency_key=k&concurrency={concurrency}")
    assert count(client) == {"queued": 3, "rate_limited": 1}


@pytest.mark.parametrize("key", ["k:allowed", "k:rate_limited"])
def test_a_key_that_would_meet_rqs_own_is_refused(client: TestClient, redis: Redis, key: str) -> None:
    problem = client.post(f"/v1/jobs/log?concurrency_key={key}&concurrency=1", json={"text": "x"}).json()
    assert (problem["status"], problem["errors"][0]["parameter"]) == (422, "concurrency_key")
    assert redis.keys() == []


def list_starts(services: Services, ids: list[str]) -> list[str]:
    """Return the jobs in the order in which they started."""
    return sorted(ids, key=lambda id: str(services.wait_for(id)["started_at"]))


def test_a_job_at_the_front_runs_first_whatever_it_waited_for(services: Services) -> None:
    services.start_api()
    services.start_worker(WORKER_THREADS="1")
    first = services.post("sleep", {"seconds": 3})
    services.wait_for(first, "started")
    back = [services.post("echo") for _ in range(3)]
    dependent = services.post("echo", query=f"?at_front=true&after={first}")
    delayed = services.post("echo", query="?at_front=true&delay_seconds=1")
    holder = services.post("echo", query="?concurrency_key=k&concurrency=1")
    limited = services.post("echo", query="?at_front=true&concurrency_key=k&concurrency=1")
    services.wait_for(delayed, "queued")
    front = services.post("echo", query="?at_front=true")
    order = list_starts(services, [*back, dependent, delayed, holder, limited, front])
    assert order[:3] == [dependent, front, delayed]
    assert order[3:] == [*back, holder, limited]


def test_a_queue_whose_jobs_nobody_takes_says_why(client: TestClient, redis: Redis) -> None:
    def ask() -> dict[str, Any]:
        return dict(client.get("/v1/queues/log").json())

    assert (ask()["why"], ask()["workers"]) == (None, 0)
    id = post(client)
    assert ask()["why"] == {"verdict": "no_worker", "reason": "no worker serves it", "jobs": 1}
    client.post("/v1/queues/log/pause")
    assert ask()["why"]["verdict"] == "queue_paused"
    client.post("/v1/queues/log/resume")
    add_worker(redis, email="0" * 12)
    assert (ask()["why"], ask()["workers"]) == (None, 1)
    park(redis, id, "errand:parked:log:log:")
    assert ask()["why"] == {"verdict": "type_unknown", "reason": "log: no worker knows this type", "jobs": 1}
    post(client)  # the list is drained still
    assert ask()["why"] is None
    redis.set("rq:suspended", 1)
    assert ask()["why"]["verdict"] == "rq_suspended"


def test_those_that_are_tried_again_are_counted_with_the_newest_error(client: TestClient, redis: Redis) -> None:
    old, new = post(client), post(client)
    redis.hset(f"rq:job:{new}", "errand_error", '{"type": "TimeoutError", "message": "?"}')
    assert client.get("/v1/queues/log").json()["newest_error"] is None
    redis.zadd("errand:retrying:log", {old: 1, new: 2})
    queue = client.get("/v1/queues/log").json()
    assert (queue["retrying"], queue["newest_error"]) == (2, "TimeoutError")
