"""What the dashboard's buttons do, through HTTP."""

from typing import Any

import pytest
from redis import Redis
from rq import Retry
from rq.job import Job
from rq.registry import StartedJobRegistry
from starlette.testclient import TestClient

from tests.api.stored import REGISTRIES, Stored
from tests.support.services import Services


@pytest.fixture
def stored(redis: Redis) -> Stored:
    return Stored(redis)


def press(client: TestClient, path: str) -> Any:
    answer = client.post(f"/dashboard/{path}", headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def refuse(client: TestClient, path: str) -> int:
    return client.post(f"/dashboard/{path}", headers={"Sec-Fetch-Site": "same-origin"}).status_code


def fail_for_good(stored: Stored) -> Job:
    """A failed job whose four retries are spent."""
    job = stored.failed(retry=Retry(4, [1, 2, 4, 8]))
    stored.redis.hset(job.key, "retries_left", 0)
    return job


def test_a_requeued_job_is_queued_with_its_retries_given_back(client: TestClient, stored: Stored) -> None:
    job = fail_for_good(stored)
    press(client, f"job/{job.id}/requeue")
    job.refresh()
    assert (job.get_status(), job.retries_left) == ("queued", 4)
    assert stored.queue.job_ids == [job.id]


def test_a_job_without_retries_is_requeued_without(client: TestClient, stored: Stored) -> None:
    job = stored.failed()
    press(client, f"job/{job.id}/requeue")
    job.refresh()
    assert (job.get_status(), job.retries_left) == ("queued", None)


def test_a_requeued_job_keeps_what_is_ours_in_its_record(client: TestClient, stored: Stored, redis: Redis) -> None:
    job = stored.failed()
    redis.hset(job.key, mapping={"errand_attempts": 3, "errand_batch": "b"})
    press(client, f"job/{job.id}/requeue")
    assert redis.hmget(job.key, "errand_attempts", "errand_batch") == [b"3", b"b"]


def test_a_requeued_job_runs_with_its_retries(services: Services, tmp_path: Any) -> None:
    services.start_api()
    services.start_worker()
    job = services.post("fail", {"ledger": f"{tmp_path}/ledger", "succeed_at": 5})
    assert services.wait_for(job)["status"] == "failed"  # after 3 attempts
    button = f"/dashboard/job/{job}/requeue"
    assert services.call("POST", button, headers={"Sec-Fetch-Site": "same-origin"}).body == {"status": "OK"}
    ended = services.wait_for(job, "finished")
    assert (ended["result"], ended["attempts"]) == (5, 5)


@pytest.mark.parametrize("registry", [name for name in REGISTRIES if name != "failed"])
def test_a_job_that_did_not_fail_is_not_requeued(client: TestClient, stored: Stored, registry: str) -> None:
    job = stored.put_in(registry)
    status = job.get_status()
    assert (refuse(client, f"job/{job.id}/requeue"), job.get_status()) == (409, status)


def test_a_missing_job_can_t_be_requeued(client: TestClient) -> None:
    assert refuse(client, "job/3c5b8a4e-0000-4000-8000-000000000000/requeue") == 404


def test_requeue_all_requeues_what_failed_in_its_queue(client: TestClient, stored: Stored, redis: Redis) -> None:
    failed = {fail_for_good(stored).id for _ in range(10)}
    other = Stored(redis, "other").failed()
    assert press(client, "requeue/default") == {"count": 10, "status": "OK"}
    assert set(stored.queue.job_ids) == failed
    assert {job.retries_left for job in stored.queue.jobs} == {4}
    assert other.get_status() == "failed"


def test_requeue_all_passes_over_a_job_that_is_gone_or_damaged(
    client: TestClient, stored: Stored, redis: Redis
) -> None:
    gone, damaged, *good = (stored.failed() for _ in range(5))
    redis.delete(gone.key)
    redis.hset(damaged.key, "retries_left", "many")
    assert press(client, "requeue/default")["count"] == 3
    assert set(stored.queue.job_ids) == {job.id for job in good}


def test_requeue_all_without_failed_jobs_requeues_none(client: TestClient) -> None:
    assert press(client, "requeue/default")["count"] == 0


@pytest.mark.parametrize("registry", REGISTRIES)
def test_a_deleted_job_leaves_nothing(client: TestClient, stored: Stored, redis: Redis, registry: str) -> None:
    job = stored.put_in(registry)
    assert press(client, f"job/{job.id}/delete") == {"status": "OK"}
    assert not redis.exists(job.key)
    assert client.get(f"/dashboard/0/data/jobs/default/{registry}/8/asc/1.json").json()["jobs"] == []


def test_a_damaged_job_can_be_deleted(client: TestClient, stored: Stored, redis: Redis) -> None:
    job = stored.failed()
    redis.hset(job.key, "created_at", "never")
    assert press(client, f"job/{job.id}/delete") == {"status": "OK"}
    assert client.get("/dashboard/0/data/jobs/default/failed/8/asc/1.json").json()["jobs"] == []


def test_deleting_a_missing_job_says_so(client: TestClient) -> None:
    assert press(client, "job/3c5b8a4e-0000-4000-8000-000000000000/delete") == {"status": "ERROR"}


@pytest.mark.parametrize("registry", REGISTRIES)
def test_an_emptied_list_is_empty_and_others_are_not(
    client: TestClient, stored: Stored, redis: Redis, registry: str
) -> None:
    kept = {name: stored.put_in(name) for name in REGISTRIES if name not in (registry, "deferred")}
    gone = [stored.put_in(registry) for _ in range(3)]
    press(client, f"queue/default/{registry}/empty")
    assert not any(redis.exists(job.key) for job in gone)
    assert client.get(f"/dashboard/0/data/jobs/default/{registry}/8/asc/1.json").json()["pagination"]["num_pages"] == 0
    assert all(redis.exists(job.key) for job in kept.values())


@pytest.mark.parametrize("registry", REGISTRIES)
def test_what_is_gone_or_damaged_does_not_stop_the_emptying(
    client: TestClient, stored: Stored, redis: Redis, registry: str
) -> None:
    gone, damaged, good = (stored.put_in(registry) for _ in range(3))
    redis.delete(gone.key)
    redis.hset(damaged.key, "created_at", "never")
    press(client, f"queue/default/{registry}/empty")
    assert not redis.exists(damaged.key, good.key)
    assert client.get(f"/dashboard/0/data/jobs/default/{registry}/8/asc/1.json").json()["pagination"]["num_pages"] == 0


def test_an_unknown_list_can_t_be_emptied(client: TestClient) -> None:
    assert refuse(client, "queue/default/nothing/empty") == 404


def test_compacting_takes_out_the_ids_without_a_job(client: TestClient, stored: Stored, redis: Redis) -> None:
    jobs = [stored.queued() for _ in range(4)]
    redis.delete(jobs[1].key)
    press(client, "queue/default/compact")
    assert stored.queue.job_ids == [jobs[0].id, jobs[2].id, jobs[3].id]


def test_compacting_an_empty_queue_is_no_error(client: TestClient) -> None:
    assert press(client, "queue/default/compact") == {"status": "OK"}


@pytest.mark.valkey
def test_compacting_never_takes_a_live_job_out(client: TestClient, stored: Stored, redis: Redis) -> None:
    """RQ moves the whole list away first, and what it holds is lost if the process ends then."""
    stored.queued()
    redis.config_resetstat()
    press(client, "queue/default/compact")
    assert not {"cmdstat_rename", "cmdstat_lpop"} & set(redis.info("commandstats"))


def test_deleting_a_running_job_ends_its_execution(client: TestClient, stored: Stored) -> None:
    job = stored.started()
    press(client, f"job/{job.id}/delete")
    assert StartedJobRegistry(queue=stored.queue).get_job_and_execution_ids(cleanup=False) == []
