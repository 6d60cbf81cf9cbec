"""POST and GET /v1/jobs, row by row of the contract."""

from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from starlette.testclient import TestClient

from tests.support.job_types import TYPES


@pytest.mark.parametrize("type", TYPES)
def test_each_types_example_is_taken(client: TestClient, type: str) -> None:
    answer = client.post(f"/v1/jobs/{type}", json=TYPES[type].example)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
    assert (job["type"], job["status"], job["queue"]) == (type, "queued", TYPES[type].queue.name)


def test_the_answer_is_what_reading_the_job_gives(client: TestClient) -> None:
    posted = client.post("/v1/jobs/log", json={"text": "x"}).json()
    read = client.get(posted["links"]["self"]).json()
    assert {**posted, "enqueued_at": None} == {**read, "enqueued_at": None}


def test_a_job_has_every_field_of_the_contract(client: TestClient) -> None:
    job = client.post("/v1/jobs/log", json={"text": "x"}).json()
    assert set(job) == {
        *("id", "type", "queue", "status", "progress", "attempts", "interruptions", "losses", "retries_left"),
        *("created_at", "enqueued_at", "run_at", "started_at", "ended_at", "result", "error", "links"),
        *("tags", "depends_on", "dependents"),
    }
    assert set(job["progress"]) == {"done", "total", "percent", "message", "updated_at"}


def test_an_unfinished_job_says_when_to_ask_again(client: TestClient) -> None:
    link = client.post("/v1/jobs/log", json={"text": "x"}).headers["location"]
    assert client.get(link).headers["retry-after"] == "1"


def test_an_ended_job_does_not_say_when_to_ask_again(client: TestClient, redis: Redis) -> None:
    link = client.post("/v1/jobs/log", json={"text": "x"}).headers["location"]
    redis.hset(f"rq:job:{link.rpartition('/')[2]}", "status", "finished")
    assert "retry-after" not in client.get(link).headers


def test_delay_seconds_schedules(client: TestClient) -> None:
    before = datetime.now(UTC)
    answer = client.post("/v1/jobs/log?delay_seconds=90.5", json={"text": "x"})
    job = client.get(answer.headers["location"])
    due = datetime.fromisoformat(job.json()["run_at"])
    assert job.json()["status"] == "scheduled"
    assert timedelta(seconds=90.5) <= due - before <= timedelta(seconds=93)
    assert 85 < int(job.headers["retry-after"]) <= 92


@pytest.mark.parametrize(
    "text",
    [
        "2030-01-01T12:00:00Z",
        "2030-01-01T13:00:00+01:00",
        "2030-01-01T13:00:00%2B01:00",
        "2030-01-01 13:00:00 01:00",
        "2030-01-01t07:00:00.0-05:00",
    ],
)
def test_run_at_is_rfc_3339_with_an_offset(client: TestClient, text: str) -> None:
    job = client.post(f"/v1/jobs/log?run_at={text}", json={"text": "x"}).json()
    assert job["run_at"] == "2030-01-01T12:00:00Z"


@pytest.mark.parametrize(
    "text",
    ["2030-01-01T12:00:00", "2030-01-01", "tomorrow", "1893456000", "2030-13-01T12:00:00Z", "2030-01-01T25:00:00Z", ""],
)
def test_any_other_run_at_is_refused(client: TestClient, text: str) -> None:
    answer = client.post(f"/v1/jobs/log?run_at={text}", json={"text": "x"})
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "run_at")


@pytest.mark.parametrize("query", ["run_at=2020-01-01T00:00:00Z", "delay_seconds=0", "run_at=0001-01-01T00:00:00Z"])
def test_a_past_time_means_now(client: TestClient, query: str) -> None:
    assert client.post(f"/v1/jobs/log?{query}", json={"text": "x"}).json()["status"] == "queued"


@pytest.mark.parametrize(
    "query",
    [
        "delay_seconds=5&run_at=2030-01-01T00:00:00Z",
        "delay_seconds=-1",
        "delay_seconds=nan",
        "delay_seconds=inf",
        "delay_seconds=1e12",
        "run_at=9999-12-31T23:59:59Z",
        "delay=5",
    ],
)
def test_other_delays_are_refused(client: TestClient, redis: Redis, query: str) -> None:
    answer = client.post(f"/v1/jobs/log?{query}", json={"text": "x"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert redis.keys() == []


def test_an_unknown_type_is_a_404_that_lists_the_types(client: TestClient) -> None:
    answer = client.post("/v1/jobs/no_such_type", json={})
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "There is no job type 'no_such_type'; there are email, log, tally, webhook",
    )


@pytest.mark.parametrize("id", ["x", "5F0C7D1E-0000-4000-8000-000000000000", "5f0c7d1e00004000800000000000000000", "*"])
def test_an_id_that_is_no_uuid_is_a_404(client: TestClient, id: str) -> None:
    assert client.get(f"/v1/jobs/{id}").status_code == 404


def test_an_unknown_job_is_a_404(client: TestClient) -> None:
    answer = client.get("/v1/jobs/5f0c7d1e-0000-4000-8000-000000000000")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:problem-type:errand:no-such-job")


def test_payloads_go_in_kwargs_and_the_description_is_the_type(client: TestClient, redis: Redis) -> None:
    from rq.job import Job

    id = client.post("/v1/jobs/log", json={"text": "secret"}).json()["id"]
    job = Job.fetch(id, connection=redis, serializer="json")
    assert (job.args, job.kwargs, job.description) == ([], {"text": "secret"}, "log")
