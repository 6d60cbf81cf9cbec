"""`timeout_seconds` and `tries` of one job, in place of what its type says."""

import json
from typing import Any

import pytest
from redis import Redis
from rq.job import Job
from starlette.testclient import TestClient

from errand import Backoff, job
from errand.store.fields import CallBuilder
from errand.store.new_job import NewJob
from errand.store.settings import QueueSettings
from tests.support.job_types import TYPES

BODY = {"text": "x"}


def post(client: TestClient, query: str, url: str = "/v1/jobs/log", body: Any = BODY) -> Any:
    return client.post(f"{url}?{query}", json=body)


def fetch(redis: Redis, id: str) -> Job:
    return Job.fetch(id, redis, serializer="json")


def test_a_plain_worker_finds_them_in_rqs_own_fields(client: TestClient, redis: Redis) -> None:
    posted = post(client, "timeout_seconds=7&tries=3").json()
    stored = fetch(redis, posted["id"])
    assert (stored.timeout, stored.retries_left, len(stored.retry_intervals or ())) == (7, 2, 2)
    assert posted["retries_left"] == client.get(posted["links"]["self"]).json()["retries_left"] == 2


def test_one_try_is_no_retry(client: TestClient, redis: Redis) -> None:
    posted = post(client, "tries=1").json()
    stored = fetch(redis, posted["id"])
    assert (posted["retries_left"], stored.retries_left, stored.retry_intervals) == (0, None, None)
    assert stored.timeout == TYPES["log"].timeout_seconds


def test_all_jobs_of_a_batch_have_them(client: TestClient, redis: Redis) -> None:
    posted = post(client, "timeout_seconds=9&tries=2", "/v1/batches/log", {"items": [BODY, BODY]}).json()
    stored = [fetch(redis, one["id"]) for one in posted["jobs"]]
    assert [(one.timeout, one.retries_left) for one in stored] == [(9, 1), (9, 1)]


def test_a_requeued_job_has_as_many_tries_again(client: TestClient, redis: Redis) -> None:
    id = post(client, "timeout_seconds=7&tries=3").json()["id"]
    client.post(f"/v1/jobs/{id}/cancel")
    redis.hset(f"rq:job:{id}", "retries_left", 0)
    assert client.post(f"/v1/jobs/{id}/requeue").json()["retries_left"] == 2
    assert fetch(redis, id).timeout == 7


def test_the_types_other_values_of_backoff_stay(queue_settings: QueueSettings) -> None:
    @job(retry=Backoff(hours=2, base_seconds=3, cap_seconds=50))
    def run() -> None:
        """Do nothing."""

    type = run.adopt("jobs.idle")
    _, args = CallBuilder(queue_settings, {"idle": type}).build([NewJob(type, {}, tries=4)])
    fields = json.loads(str(args[4]))["fields"]
    own = dict(zip(fields[::2], fields[1::2], strict=True))
    assert json.loads(own["errand_backoff"]) == {"retries": 3, "base": 3, "cap": 50, "seconds": 7200}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("timeout_seconds=0", "timeout_seconds"),
        ("timeout_seconds=86401", "timeout_seconds"),
        ("timeout_seconds=1.5", "timeout_seconds"),
        ("tries=0", "tries"),
        ("tries=1001", "tries"),
    ],
)
def test_what_can_not_be_is_refused(client: TestClient, redis: Redis, query: str, name: str) -> None:
    answer = post(client, query)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, name)
    assert redis.keys() == []
