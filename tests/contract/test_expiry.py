"""Jobs that have expired, under RQ's own worker: they fail, and their work is not begun."""

import json
import time
from contextvars import Context
from datetime import UTC, datetime

import pytest
from redis import Redis
from rq import Queue, Retry, SimpleWorker
from rq.job import Job

from errand.contract.expiry import check_expiry, write_expiry
from tests.support.job_fixtures import FIXTURES, Add


@pytest.fixture
def queue(redis: Redis, add_folder: Add) -> Queue:
    add_folder(FIXTURES / "jobs")
    return Queue("tests", connection=redis, serializer="json")


def put(queue: Queue, seconds: float, by: str = "", attempts: int = 0, type: str = "echo") -> Job:
    """Store a job that expires in so many seconds."""
    job = queue.create_job(f"jobs.{type}.run.perform", kwargs={"value": 1}, retry=Retry(3))
    expires_at = write_expiry(datetime.now(UTC).timestamp() + seconds)
    fields = {"errand_expires_at": expires_at, "errand_expires_by": by, "errand_attempts": attempts}
    queue.connection.hset(job.key, mapping={name: str(value) for name, value in fields.items() if value})
    return queue.enqueue_job(job)


def work(queue: Queue) -> None:
    worker = SimpleWorker([queue], connection=queue.connection, serializer="json")
    Context().run(worker.work, burst=True)


def read_error(job: Job) -> dict[str, str]:
    error: dict[str, str] = json.loads(job.connection.hget(job.key, "errand_error") or b"{}")
    return error


@pytest.mark.parametrize(("by", "attempts", "done"), [("", 0, "started"), ("end", 0, "ended"), ("end", 1, "ended")])
def test_it_fails_at_once_and_says_so(queue: Queue, by: str, attempts: int, done: str) -> None:
    job = put(queue, -1, by, attempts)
    work(queue)
    assert (job.get_status().value, job.retries_left) == ("failed", 3)
    job.refresh()
    assert job.retries_left == 0
    expires_at = (queue.connection.hget(job.key, "errand_expires_at") or b"").decode()
    assert read_error(job) == {"type": "Expired", "message": f"it had not {done} by {expires_at}"}


@pytest.mark.parametrize(("seconds", "by", "attempts"), [(60, "", 0), (60, "end", 0), (-1, "", 1)])
def test_one_that_is_in_time_runs(queue: Queue, seconds: float, by: str, attempts: int) -> None:
    job = put(queue, seconds, by, attempts)
    work(queue)
    assert (job.get_status().value, job.return_value()) == ("finished", 1)


def test_one_that_can_not_be_read_counts_as_none(queue: Queue) -> None:
    job = put(queue, -1)
    queue.connection.hset(job.key, "errand_expires_at", "soon")
    work(queue)
    assert job.get_status().value == "finished"


@pytest.mark.parametrize(("hours", "seconds", "status"), [(1, 60, "finished"), (-1, -1, "failed")])
def test_it_goes_by_redis_clock_where_this_hosts_is_wrong(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, hours: int, seconds: int, status: str
) -> None:
    job, ordinary = put(queue, seconds), time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: ordinary() + hours * 3600)
        work(queue)
    assert job.get_status().value == status


@pytest.mark.parametrize("hours", [-1, 0, 1])
@pytest.mark.parametrize(("seconds", "status"), [(60, "finished"), (-1, "failed")])
def test_a_job_may_ask_before_it_does_what_can_not_be_taken_back(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, hours: int, seconds: int, status: str
) -> None:
    expires_at, ordinary = write_expiry(datetime.now(UTC).timestamp() + seconds), time.time
    job = queue.enqueue("jobs.late.run.perform", expires_at=expires_at)
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: ordinary() + hours * 3600)  # what counts is Redis' clock
        work(queue)
    assert job.get_status().value == status
    assert read_error(job).get("type") == ("Expired" if status == "failed" else None)


def test_outside_a_job_nothing_expires() -> None:
    check_expiry()


def test_a_time_is_written_to_the_millisecond() -> None:
    assert write_expiry(1_700_000_000.0075) == "2023-11-14T22:13:20.007Z"
