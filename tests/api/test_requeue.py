"""POST …/requeue."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter
from redis import Redis
from starlette.testclient import TestClient

from errand.api.views import JobView
from tests.support.services import Services

UNKNOWN = "5f0c7d1e-0000-4000-8000-000000000000"


def post_failed(client: TestClient, redis: Redis) -> str:
    """Return the path of a job that failed for good."""
    link = client.post("/v1/jobs/log", json={"text": "x"}).headers["location"]
    id = link.rpartition("/")[2]
    redis.lrem("rq:queue:log", 0, id)
    error = '{"type": "ValueError", "message": "no"}'
    redis.hset(f"rq:job:{id}", mapping={"status": "failed", "retries_left": 0, "errand_error": error})
    redis.zadd("rq:failed:log", {id: 2_000_000_000})
    return str(link)


def test_a_failed_job_comes_back_queued_with_all_its_tries(client: TestClient, redis: Redis) -> None:
    link = post_failed(client, redis)
    answer = client.post(f"{link}/requeue")
    job = answer.json()
    assert answer.status_code == 202
    assert (job["status"], job["error"], job["ended_at"]) == ("queued", None, None)
    assert job["retries_left"] == client.post("/v1/jobs/log", json={"text": "x"}).json()["retries_left"] > 0
    TypeAdapter(JobView).validate_python(job, extra="forbid")


def test_a_job_that_has_not_ended_is_a_409(client: TestClient) -> None:
    link = client.post("/v1/jobs/log", json={"text": "x"}).headers["location"]
    problem = client.post(f"{link}/requeue").json()
    assert (problem["status"], problem["type"]) == (409, "urn:problem-type:errand:not-requeueable")
    assert "its status is queued" in problem["detail"]


def test_a_damaged_job_is_a_409_with_a_reason(client: TestClient, redis: Redis) -> None:
    redis.set(f"rq:job:{UNKNOWN}", "?")
    answer = client.post(f"/v1/jobs/{UNKNOWN}/requeue")
    assert (answer.status_code, "it is a string, no hash" in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize("id", [UNKNOWN, "x"])
def test_an_unknown_job_is_a_404(client: TestClient, redis: Redis, id: str) -> None:
    answer = client.post(f"/v1/jobs/{id}/requeue")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:problem-type:errand:no-such-job")
    assert redis.keys() == []


def test_a_queues_failed_jobs_come_back(client: TestClient, redis: Redis) -> None:
    links = [post_failed(client, redis) for _ in range(3)]
    answer = client.post("/v1/queues/log/requeue")
    assert (answer.status_code, answer.json()) == (202, {"queue": "log", "requeued": 3})
    assert [client.get(link).json()["status"] for link in links] == ["queued"] * 3
    assert client.post("/v1/queues/log/requeue").json()["requeued"] == 0


def test_a_queue_that_only_redis_knows_is_served(client: TestClient, redis: Redis) -> None:
    redis.sadd("rq:queues", "rq:queue:video")
    assert client.post("/v1/queues/video/requeue").json() == {"queue": "video", "requeued": 0}


def test_an_unknown_queue_is_a_404_that_lists_the_queues(client: TestClient, redis: Redis) -> None:
    redis.sadd("rq:queues", "rq:queue:video")
    problem = client.post("/v1/queues/nothing/requeue").json()
    assert (problem["status"], problem["type"]) == (404, "urn:problem-type:errand:no-such-queue")
    listed = problem["detail"].partition("there are ")[2].split(", ")
    assert {"default", "email", "log", "video"} <= set(listed)


@pytest.mark.quick("start_worker")
@pytest.mark.parametrize("worker", ["start_worker", "start_plain_worker"])
def test_a_requeued_job_runs(services: Services, tmp_path: Path, worker: str) -> None:
    services.start_api()
    getattr(services, worker)()
    id = services.post("fail", {"ledger": str(tmp_path / "ledger"), "permanent": True, "succeed_at": 2})
    assert services.wait_for(id)["status"] == "failed"
    assert services.call("POST", f"/v1/jobs/{id}/requeue").status == 202
    job = services.wait_for(id)
    assert (job["status"], job["result"], job["attempts"], job["error"]) == ("finished", 2, 2, None)
