"""POST …/cancel: jobs that wait, over a real Valkey; jobs that run, with real workers."""

import time
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pydantic import TypeAdapter
from redis import Redis
from rq import Queue
from rq.job import Job
from starlette.testclient import TestClient

from errand.api.views import JobView
from tests.support.services import Services
from tests.support.waiting import wait_until

UNKNOWN = "5f0c7d1e-0000-4000-8000-000000000000"
ON_REQUEST = {"type": "Canceled", "message": "it was canceled on request"}
STOPPED = {"type": "JobStopped", "message": "it was stopped on request"}


def post(client: TestClient, query: str = "") -> str:
    answer = client.post(f"/v1/jobs/log{query}", json={"text": "x"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def cancel(client: TestClient, id: str) -> dict[str, Any]:
    answer = client.post(f"/v1/jobs/{id}/cancel")
    assert answer.status_code == 200, answer.text
    TypeAdapter(JobView).validate_python(answer.json(), extra="forbid")
    return dict(answer.json())


def read_status(client: TestClient, id: str) -> str:
    return str(client.get(f"/v1/jobs/{id}").json()["status"])


@pytest.mark.parametrize("query", ["", "?delay_seconds=3600"])
def test_a_job_that_waits_is_canceled_with_the_reason_and_expires(client: TestClient, redis: Redis, query: str) -> None:
    id = post(client, query)
    job = cancel(client, id)
    assert (job["status"], job["error"], job["run_at"]) == ("canceled", ON_REQUEST, None)
    assert job["ended_at"]
    assert redis.llen("rq:queue:log") == redis.zcard("rq:scheduled:log") == 0
    assert redis.zrange("rq:canceled:log", 0, -1) == [id.encode()]
    assert 0 < redis.ttl(f"rq:job:{id}") <= 30 * 24 * 3600


def test_a_waiting_chain_is_canceled_with_its_head(client: TestClient, redis: Redis) -> None:
    first = post(client)
    second = post(client, f"?after={first}")
    third = post(client, f"?after={second}")
    job = cancel(client, first)
    assert job["dependents"] == [{"id": second, "status": "canceled"}]
    below = client.get(f"/v1/jobs/{third}").json()
    assert (below["status"], second in below["error"]["message"]) == ("canceled", True)
    assert redis.zcard("rq:deferred:log") == 0
    assert all(redis.ttl(f"rq:job:{id}") > 0 for id in (first, second, third))


def test_a_long_chain_is_canceled_to_its_end(client: TestClient, redis: Redis) -> None:
    ids = [post(client)]
    for _ in range(300):
        ids.append(post(client, f"?after={ids[-1]}"))
    cancel(client, ids[0])
    assert {redis.hget(f"rq:job:{id}", "status") for id in ids} == {b"canceled"}


def test_the_answer_shows_what_became_of_each_dependent(client: TestClient) -> None:
    first = post(client)
    fates = {post(client, f"?after={first}&on_failure={word}"): word for word in ("cancel", "run", "wait")}
    statuses = {fates[child["id"]]: child["status"] for child in cancel(client, first)["dependents"]}
    assert statuses == {"cancel": "canceled", "run": "queued", "wait": "deferred"}


def test_a_deferred_job_leaves_its_parents_list(client: TestClient, redis: Redis) -> None:
    first = post(client)
    second = post(client, f"?after={first}")
    assert cancel(client, second)["status"] == "canceled"
    assert not redis.exists(f"rq:job:{first}:dependents", f"rq:job::{second}:dependencies")
    assert read_status(client, first) == "queued"


def test_a_job_behind_a_concurrency_key_leaves_its_line(client: TestClient, redis: Redis) -> None:
    ids = [post(client, "?concurrency_key=k&concurrency=1") for _ in range(3)]
    assert [read_status(client, id) for id in ids] == ["queued", "rate_limited", "rate_limited"]
    cancel(client, ids[1])
    assert redis.zrange("rq:rl:k:rate_limited", 0, -1) == [ids[2].encode()]
    cancel(client, ids[0])
    assert read_status(client, ids[2]) == "queued"
    assert redis.zrange("rq:rl:k:allowed", 0, -1) == [ids[2].encode()]
    assert redis.lrange("rq:queue:log", 0, -1) == [ids[2].encode()]


def test_a_dependent_behind_a_concurrency_key_gets_in_line(client: TestClient, redis: Redis) -> None:
    first = post(client)
    limited = [post(client, f"?after={first}&on_failure=run&concurrency_key=k&concurrency=1") for _ in range(2)]
    cancel(client, first)
    assert sorted(read_status(client, id) for id in limited) == ["queued", "rate_limited"]


@pytest.mark.parametrize("status", ["created", "ready_to_enqueue"])
def test_a_job_in_one_of_rqs_passing_states_is_canceled(client: TestClient, redis: Redis, status: str) -> None:
    id = post(client)
    redis.delete("rq:queue:log")
    redis.hset(f"rq:job:{id}", "status", status)
    redis.zadd("rq:ready:log", {id: 1})
    cancel(client, id)
    assert redis.zcard("rq:ready:log") == (1 if status == "created" else 0)


def test_a_batch_counts_it_as_canceled(client: TestClient) -> None:
    batch = client.post("/v1/batches/log", json={"items": [{"text": "x"}] * 2}).json()
    cancel(client, batch["jobs"][0]["id"])
    found = client.get(batch["links"]["self"]).json()
    assert (found["canceled"], found["queued"], found["percent"]) == (1, 1, 50)


@pytest.mark.parametrize("status", ["finished", "failed", "canceled", "stopped"])
def test_a_job_that_has_ended_is_a_409(client: TestClient, redis: Redis, status: str) -> None:
    id = post(client)
    redis.hset(f"rq:job:{id}", "status", status)
    problem = client.post(f"/v1/jobs/{id}/cancel").json()
    assert (problem["status"], problem["type"]) == (409, "urn:problem-type:errand:not-cancelable")
    assert f"its status is {status}" in problem["detail"]


def test_a_job_canceled_twice_is_a_409(client: TestClient) -> None:
    id = post(client)
    cancel(client, id)
    assert client.post(f"/v1/jobs/{id}/cancel").status_code == 409


@pytest.mark.parametrize("id", [UNKNOWN, "x"])
def test_an_unknown_job_is_a_404(client: TestClient, redis: Redis, id: str) -> None:
    answer = client.post(f"/v1/jobs/{id}/cancel")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:problem-type:errand:no-such-job")
    assert redis.keys() == []


def test_a_damaged_job_is_a_409_with_a_reason(client: TestClient, redis: Redis) -> None:
    redis.set(f"rq:job:{UNKNOWN}", "?")
    answer = client.post(f"/v1/jobs/{UNKNOWN}/cancel")
    assert (answer.status_code, "it is a string, no hash" in answer.json()["detail"]) == (409, True)


def test_a_canceled_job_comes_back_by_requeue(client: TestClient, redis: Redis) -> None:
    id = post(client)
    cancel(client, id)
    assert client.post(f"/v1/jobs/{id}/requeue").json()["status"] == "queued"
    assert cancel(client, id)["status"] == "canceled"
    assert redis.llen("rq:queue:log") == 0


def test_the_list_of_canceled_jobs_does_not_keep_what_has_expired(client: TestClient, redis: Redis) -> None:
    redis.zadd("rq:canceled:log", {"gone": 1})
    cancel(client, post(client))
    assert redis.zscore("rq:canceled:log", "gone") is None


def start_long_job(
    services: Services, tmp_path: Path, type: str = "ledger", plain: bool = False, **payload: Any
) -> str:
    services.start_api()
    if plain:
        services.start_plain_worker()
    else:
        services.start_worker()
    id = services.post(type, {"ledger": str(tmp_path / "ledger"), "seconds": 30, **payload})
    services.wait_for(id, "started")
    wait_until((tmp_path / "ledger").exists)
    return id


@pytest.mark.quick("alone")
@pytest.mark.parametrize("type", ["ledger", "alone"])
def test_a_running_job_is_stopped_within_two_seconds(services: Services, tmp_path: Path, type: str) -> None:
    id = start_long_job(services, tmp_path, type)
    asked_at = time.monotonic()
    answer = services.call("POST", f"/v1/jobs/{id}/cancel")
    assert time.monotonic() - asked_at < 2
    assert (answer.status, answer.body["status"], answer.body["error"]) == (200, "stopped", STOPPED)
    assert answer.body["retries_left"] == 2
    assert "end" not in (tmp_path / "ledger").read_text()


def test_a_job_that_swallows_the_stop_gets_it_again_at_its_next_report(services: Services, tmp_path: Path) -> None:
    id = start_long_job(services, tmp_path, then="swallow")
    answer = services.call("POST", f"/v1/jobs/{id}/cancel")
    assert (answer.status, answer.body["status"], answer.body["error"]) == (200, "stopped", STOPPED)


def test_an_isolated_job_is_stopped_in_the_middle_of_c_code(services: Services, tmp_path: Path) -> None:
    id = start_long_job(services, tmp_path, "alone", then="hold")
    answer = services.call("POST", f"/v1/jobs/{id}/cancel")
    assert (answer.status, answer.body["status"], answer.body["error"]) == (200, "stopped", STOPPED)


def test_a_thread_in_c_code_is_a_202_and_stops_when_it_comes_back(services: Services, tmp_path: Path) -> None:
    id = start_long_job(services, tmp_path, then="block", seconds=4)
    asked_at = time.monotonic()
    answer = services.call("POST", f"/v1/jobs/{id}/cancel")
    assert time.monotonic() - asked_at < 2.5
    assert (answer.status, answer.body["status"], answer.headers["Retry-After"]) == (202, "started", "1")
    job = services.wait_for(id)
    assert (job["status"], job["attempts"], job["error"]) == ("stopped", 1, STOPPED)


def test_a_stopped_jobs_dependents_go_as_they_were_asked(services: Services, tmp_path: Path) -> None:
    id = start_long_job(services, tmp_path)
    fates = {services.post("echo", query=f"?after={id}&on_failure={word}"): word for word in ("cancel", "run", "wait")}
    answer = services.call("POST", f"/v1/jobs/{id}/cancel")
    statuses = {fates[child["id"]]: child["status"] for child in answer.body["dependents"]}
    assert (statuses["cancel"], statuses["wait"]) == ("canceled", "deferred")
    assert services.wait_for(next(id for id, word in fates.items() if word == "run"))["status"] == "finished"


def test_a_stopped_job_runs_again_after_its_requeue(services: Services, tmp_path: Path) -> None:
    id = start_long_job(services, tmp_path)
    services.call("POST", f"/v1/jobs/{id}/cancel")
    (tmp_path / "ledger").unlink()
    assert services.call("POST", f"/v1/jobs/{id}/requeue").status == 202
    wait_until((tmp_path / "ledger").exists)
    answer = services.call("POST", f"/v1/jobs/{id}/cancel")
    assert (answer.body["status"], answer.body["attempts"]) == ("stopped", 2)


def test_a_job_of_a_plain_worker_is_stopped_and_its_dependents_settled(services: Services, tmp_path: Path) -> None:
    id = start_long_job(services, tmp_path, plain=True)
    child = services.post("echo", query=f"?after={id}")
    answer = services.call("POST", f"/v1/jobs/{id}/cancel")
    assert (answer.status, answer.body["status"], answer.body["error"]) == (200, "stopped", STOPPED)
    assert answer.body["dependents"] == [{"id": child, "status": "canceled"}]
    assert services.wait_for(services.post("echo", {"value": 1}))["result"] == 1  # the worker lives


def test_a_job_that_is_tried_again_meanwhile_is_canceled(client: TestClient, redis: Redis) -> None:
    id = post(client)
    key = f"rq:job:{id}"
    redis.delete("rq:queue:log")
    redis.hset(key, mapping={"status": "started", "worker_name": "plain"})
    redis.zadd(f"rq:executions:{id}", {"e": time.time() + 60})
    redis.hset(f"rq:execution:{id}:e", "worker_name", "plain")
    job = Job.fetch(id, connection=redis, serializer="json")
    with redis.pubsub() as listener:
        listener.subscribe("rq:pubsub:plain")

        def retry_when_told() -> None:
            wait_until(lambda: (found := listener.get_message(timeout=1)) and found["type"] == "message")
            redis.delete(f"rq:executions:{id}")
            with redis.pipeline() as pipeline:
                job.retries_left, job.retry_intervals = 1, [60]
                job.retry(Queue("log", connection=redis, serializer="json"), pipeline)
                pipeline.execute()

        thread = Thread(target=retry_when_told)
        thread.start()
        assert cancel(client, id)["status"] == "canceled"
        thread.join()
    assert redis.zcard("rq:scheduled:log") == 0


def test_a_job_whose_record_alone_says_that_it_runs_is_canceled(client: TestClient, redis: Redis) -> None:
    id = post(client)
    redis.hset(f"rq:job:{id}", "status", "started")
    assert cancel(client, id)["status"] == "canceled"


def test_a_coroutine_that_waits_is_stopped_within_two_seconds(services: Services) -> None:
    services.start_api()
    services.start_worker()
    id = services.post("nap")
    services.wait_for(id, "started")
    answer = services.call("POST", f"/v1/jobs/{id}/cancel")
    assert (answer.status, answer.body["status"], answer.body["error"]) == (200, "stopped", STOPPED)


def test_a_coroutine_that_waits_is_ended_at_its_time(services: Services) -> None:
    services.start_api()
    services.start_worker()
    job = services.wait_for(services.post("nap"))
    seconds = (datetime.fromisoformat(job["ended_at"]) - datetime.fromisoformat(job["started_at"])).total_seconds()
    assert job["error"]["type"] == "JobTimeoutException"
    assert 3 <= seconds < 4.5  # from 5 s on its runner would be replaced
