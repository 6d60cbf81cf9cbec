"""/v1/workers."""

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter
from redis import Redis
from starlette.testclient import TestClient

from errand.api.routes.workers import WorkerView
from tests.api.stored import Stored
from tests.support.services import Services
from tests.support.waiting import wait_until


def test_there_are_none_at_first(client: TestClient) -> None:
    assert client.get("/v1/workers").json() == {"items": []}


def test_a_worker_is_shown_with_what_it_holds(services: Services, redis: Redis) -> None:
    services.start_api()
    process = services.start_worker("default", "log", WORKER_THREADS="4")
    ids = [services.post("sleep", {"seconds": 2}) for _ in range(2)]
    for id in ids:
        services.wait_for(id, "started")
    (worker,) = services.call("GET", "/v1/workers").body["items"]
    TypeAdapter(WorkerView).validate_python(worker, extra="forbid")
    assert (worker["state"], worker["queues"], worker["running"]) == ("busy", ["default", "log"], 2)
    assert worker["pid"] == process.pid
    assert worker["hostname"]
    assert {job["id"] for job in worker["jobs"]} == set(ids)
    for job in worker["jobs"]:
        assert (job["type"], job["links"]["self"]) == ("sleep", f"/v1/jobs/{job['id']}")
        assert abs((datetime.now(UTC) - datetime.fromisoformat(job["started_at"])).total_seconds()) < 3
    assert worker["heartbeat_seconds"] < 3
    for id in ids:
        services.wait_for(id)
    wait_until(lambda: services.call("GET", "/v1/workers").body["items"][0]["state"] == "idle")
    (worker,) = services.call("GET", "/v1/workers").body["items"]
    assert (worker["running"], worker["finished"], worker["failed"]) == (0, 2, 0)
    assert worker["working_seconds"] >= 4


@pytest.mark.quick
def test_a_plain_worker_is_shown_too(services: Services) -> None:
    services.start_api()
    services.start_plain_worker()
    id = services.post("sleep", {"seconds": 2})
    services.wait_for(id, "started")
    worker = wait_until(lambda: services.call("GET", "/v1/workers").body["items"])[0]
    assert (worker["state"], worker["queues"], worker["running"]) == ("busy", ["email", "log", "default"], 1)
    assert [job["id"] for job in worker["jobs"]] == [id]


def test_one_whose_record_has_expired_or_that_has_died_is_left_out(client: TestClient, redis: Redis) -> None:
    Stored(redis).started()
    (worker,) = client.get("/v1/workers").json()["items"]
    redis.sadd("rq:workers", "rq:worker:gone")
    assert [found["name"] for found in client.get("/v1/workers").json()["items"]] == [worker["name"]]
    redis.hset(f"rq:worker:{worker['name']}", "death", "2026-01-01T00:00:00.000000Z")
    assert client.get("/v1/workers").json()["items"] == []


def test_damaged_records_are_shown_as_far_as_they_can_be_read(client: TestClient, redis: Redis) -> None:
    job = Stored(redis).started()
    name = f"worker-{job.id}"
    redis.delete(job.key)
    redis.set(job.key, "?")
    redis.hset(f"rq:worker:{name}", mapping={"successful_job_count": "x", "pid": "y"})
    redis.sadd("rq:workers", "rq:worker:other", "something")
    redis.set("rq:worker:other", "?")
    (worker,) = client.get("/v1/workers").json()["items"]
    assert (worker["name"], worker["finished"], worker["pid"], worker["jobs"][0]["type"]) == (name, 0, None, "")


def test_a_heartbeat_that_is_no_time_has_no_age(client: TestClient, redis: Redis) -> None:
    name = f"worker-{Stored(redis).started().id}"
    for damaged in ("?", "2026-99-99T00:00:00.000000Z", "1795478955"):
        redis.hset(f"rq:worker:{name}", "last_heartbeat", damaged)
        (worker,) = client.get("/v1/workers").json()["items"]
        assert (worker["heartbeat_at"], worker["heartbeat_seconds"]) == (damaged, None)
    redis.hset(f"rq:worker:{name}", "last_heartbeat", "2026-01-01T00:00:00")
    assert client.get("/v1/workers").json()["items"][0]["heartbeat_seconds"] > 0
