"""Reading a job, whoever wrote it."""

import asyncio
import json
import pickle
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from rq import Queue
from rq.results import Result

from errand.store.enqueue import Enqueuer
from errand.store.new_job import NewJob
from errand.store.settings import QueueSettings
from errand.store.status import JobStatus, StatusReader, build_status
from tests.support.connectors import connect
from tests.support.job_types import LOG


@pytest.fixture
def job_id(redis: Redis) -> str:
    """A job as plain RQ stores it."""
    return str(Queue("log", connection=redis, serializer="json").enqueue("jobs.log.run.perform", text="x").id)


def read(settings: QueueSettings, id: str, with_lines: bool = False) -> JobStatus | None:
    async def main() -> JobStatus | None:
        redis = connect(settings.redis_url)
        try:
            return await StatusReader(redis, with_lines).read(id)
        finally:
            await redis.aclose()

    return asyncio.run(main())


def test_lines_are_shown_to_those_who_watch_alone(queue_settings: QueueSettings, redis: Redis, job_id: str) -> None:
    redis.hset(f"rq:job:{job_id}", "errand_lines", "3 100")
    assert [read(queue_settings, job_id, with_lines).lines for with_lines in (True, False)] == [3, 0]


def test_an_unknown_job_is_none(queue_settings: QueueSettings) -> None:
    assert read(queue_settings, "5f0c7d1e-0000-4000-8000-000000000000") is None


def test_a_plain_producers_job_is_read(queue_settings: QueueSettings, job_id: str) -> None:
    job = read(queue_settings, job_id)
    assert job is not None
    assert (job.status, job.queue, job.attempts, job.retries_left) == ("queued", "log", 0, 0)


def test_attempts_interruptions_and_losses_are_distinguished(
    queue_settings: QueueSettings, redis: Redis, job_id: str
) -> None:
    redis.hset(f"rq:job:{job_id}", mapping={"errand_attempts": 5, "errand_interruptions": 3, "errand_losses": 1})
    job = read(queue_settings, job_id)
    assert job is not None
    assert (job.attempts, job.interruptions, job.losses) == (5, 3, 1)


def test_percent_is_unknown_until_reported(queue_settings: QueueSettings, job_id: str) -> None:
    job = read(queue_settings, job_id)
    assert job is not None
    assert job.progress.percent is None


@pytest.mark.parametrize(
    ("status", "report", "percent"),
    [
        ("started", {"done": 1, "total": 3}, 33),
        ("started", {"done": 3, "total": 3}, 99),
        ("started", {"done": 5, "total": None}, None),
        ("failed", {"done": 1, "total": 2}, 50),
        ("failed", {"done": 2, "total": 2}, 99),
        ("finished", {"done": 1, "total": 2}, 100),
        ("finished", None, 100),
    ],
)
def test_percent_is_100_when_finished_and_only_then(
    queue_settings: QueueSettings, redis: Redis, job_id: str, status: str, report: dict | None, percent: int | None
) -> None:
    redis.hset(f"rq:job:{job_id}", "status", status)
    if report:
        redis.hset(f"rq:job:{job_id}", "errand_progress", json.dumps({**report, "message": "m", "updated_at": "t"}))
    job = read(queue_settings, job_id)
    assert job is not None
    assert job.progress.percent == percent


def test_an_error_that_only_rq_recorded_is_shown(queue_settings: QueueSettings, redis: Redis, job_id: str) -> None:
    job = Queue("log", connection=redis, serializer="json").fetch_job(job_id)
    assert job is not None
    redis.hset(f"rq:job:{job_id}", "status", "failed")
    Result.create_failure(job, 100, "Traceback …\n  File …\nbuiltins.ValueError: no: such thing\n")
    found = read(queue_settings, job_id)
    assert found is not None
    assert (found.error.type, found.error.message) == ("ValueError", "no: such thing")


def test_a_process_that_died_without_a_word_is_shown_as_rq_records_it(
    queue_settings: QueueSettings, redis: Redis, job_id: str
) -> None:
    job = Queue("log", connection=redis, serializer="json").fetch_job(job_id)
    assert job is not None
    redis.hset(f"rq:job:{job_id}", "status", "failed")
    Result.create_failure(job, 100, "Work-horse terminated unexpectedly; waitpid returned 9 (signal 9); ")
    found = read(queue_settings, job_id)
    assert found is not None
    assert found.error.type == "Lost"
    assert "signal 9" in found.error.message


def test_a_job_that_runs_again_shows_no_result_of_the_last_time(
    queue_settings: QueueSettings, redis: Redis, job_id: str
) -> None:
    job = Queue("log", connection=redis, serializer="json").fetch_job(job_id)
    assert job is not None
    Result.create(job, Result.Type.SUCCESSFUL, 100, return_value="old")
    found = read(queue_settings, job_id)
    assert found is not None
    assert found.result is None
    redis.hset(f"rq:job:{job_id}", "status", "finished")
    again = read(queue_settings, job_id)
    assert again is not None
    assert again.result == "old"


@pytest.mark.valkey
def test_what_is_no_text_is_shown_as_far_as_it_can_be_read(
    queue_settings: QueueSettings, redis: Redis, job_id: str
) -> None:
    redis.hset(f"rq:job:{job_id}", mapping={"description": b'a\xff\x00"\\\xe2\x82', "status": "failed"})
    redis.xadd(Result.get_key(job_id), {"exc_string": b"\xff"})
    found = read(queue_settings, job_id)
    assert found is not None
    assert found.type == 'a\ufffd\x00"\\\ufffd'
    assert (found.error.type, found.error.message) == (
        "Unknown",
        "the recorded error can't be read",
    )


def test_a_record_without_a_status_is_no_job(queue_settings: QueueSettings, redis: Redis, job_id: str) -> None:
    redis.hdel(f"rq:job:{job_id}", "status")
    assert read(queue_settings, job_id) is None


def test_many_at_once_each_get_their_own(queue_settings: QueueSettings, redis: Redis) -> None:
    queue = Queue("log", connection=redis, serializer="json")
    ids = [str(queue.enqueue("jobs.log.run.perform", text="x").id) for _ in range(50)]

    async def main() -> list[str | None]:
        async with connect(queue_settings.redis_url) as client:
            reader = StatusReader(client)
            found = await asyncio.gather(*(reader.read(id) for id in ids))
        return [job.id if job else None for job in found]

    assert asyncio.run(main()) == ids


@pytest.mark.parametrize("field", ["errand_progress", "errand_error", "errand_tags", "dependency_ids"])
@pytest.mark.parametrize("stored", ["{", "7", '{"done": "x", "total": "y"}'])
def test_a_part_that_can_not_be_read_hides_no_status(
    queue_settings: QueueSettings, redis: Redis, job_id: str, field: str, stored: str
) -> None:
    redis.hset(f"rq:job:{job_id}", mapping={"status": "failed", field: stored})
    job = read(queue_settings, job_id)
    assert job is not None
    assert job.status == "failed"


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(pickle.dumps({"a": 1}), id="a pickle"),
        b"{",
        b"NaN",
        b"[1e999]",
        b'"\\ud800"',
        pytest.param(b"9" * 5000, id="a long number"),
        pytest.param(b"[" * 900 + b"]" * 900, id="a deep list"),
        pytest.param(b"[" * 90_000 + b"]" * 90_000, id="a very deep list"),
    ],
)
def test_a_result_that_is_no_json_is_reported_and_not_shown(
    queue_settings: QueueSettings, redis: Redis, job_id: str, stored: bytes
) -> None:
    redis.hset(f"rq:job:{job_id}", "status", "finished")
    redis.xadd(f"rq:results:{job_id}", {"type": 1, "return_value": b64encode(stored)})
    job = read(queue_settings, job_id)
    assert job is not None
    assert (job.status, job.result, job.error and job.error.type) == ("finished", None, "UnreadableResult")


def test_results_of_a_wrong_type_are_none(queue_settings: QueueSettings, redis: Redis, job_id: str) -> None:
    redis.hset(f"rq:job:{job_id}", "status", "finished")
    redis.set(f"rq:results:{job_id}", "x")
    job = read(queue_settings, job_id)
    assert job is not None
    assert (job.status, job.result) == ("finished", None)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"run_at": datetime.now(UTC) + timedelta(hours=1, microseconds=7)},
        {"tags": ("red", "blue"), "batch": str(uuid4()), "at_front": True},
        {"limit": ("key", 1)},
        {"after": True},
        {"expires_in_seconds": 60.5, "tries": 4},
    ],
)
def test_a_job_that_was_just_stored_is_described_as_it_is_read(
    queue_settings: QueueSettings, options: dict[str, Any]
) -> None:
    first, now = NewJob(LOG, {"text": "x"}), datetime.now(UTC)
    more = options | ({"after": (first.id,)} if "after" in options else {})
    new = NewJob(LOG, {"text": "x"}, created_at=now, **more)

    async def store() -> list[str]:
        async with connect(queue_settings.redis_url) as redis:
            enqueuer = Enqueuer(redis, queue_settings, {"log": LOG})
            await enqueuer.store([first])
            return await enqueuer.store([new])

    (status,) = asyncio.run(store())
    built, found = build_status(new, status), read(queue_settings, new.id)
    assert found is not None
    assert (built.enqueued_at is None) == (found.enqueued_at is None)
    assert replace(built, enqueued_at=None) == replace(found, enqueued_at=None)
