"""The time line on a job's page: what has happened, and what may come."""

import re
from collections.abc import Callable

import pytest
from redis import Redis
from rq import Retry
from starlette.testclient import TestClient

from errand.redis import keys
from tests.api.stored import Stored


def read_last_step(client: TestClient, id: str) -> str:
    """The last step's text, without its markup."""
    steps = re.findall(r'<li class="step [^"]*">(.*?)</li>', client.get(f"/console/jobs/{id}").text, re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", steps[-1]).split())


@pytest.mark.parametrize(("left", "text"), [(0, "it is the last try"), (2, "if it fails, 2 more tries after it")])
def test_a_job_that_is_tried_again_shows_when_and_how_many_tries_may_follow(
    client: TestClient, redis: Redis, post: Callable[..., str], left: int, text: str
) -> None:
    id = post("tally", number=1)
    redis.hset(keys.JOB + id, mapping={"status": "scheduled", "errand_attempts": 1, "retries_left": left})
    redis.zadd(keys.SCHEDULED + "default", {id: 1893456000})
    assert read_last_step(client, id) == f"Attempt 2 2030-01-01 00:00:00 UTC {text}"


@pytest.mark.parametrize(("retries", "text"), [(1, "1 more try"), (3, "3 more tries")])
def test_a_job_that_runs_shows_how_many_tries_follow_if_it_fails(
    client: TestClient, stored: Stored, retries: int, text: str
) -> None:
    job = stored.started(1, retry=Retry(retries))
    assert read_last_step(client, job.id) == f"If it fails {text}"


def test_a_job_that_runs_for_the_last_time_promises_no_more(client: TestClient, stored: Stored) -> None:
    assert read_last_step(client, stored.started().id).startswith("Attempt 1 runs")
