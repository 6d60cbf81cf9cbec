"""What an attempt leaves on its job's hash, under RQ's own worker."""

import json
import time
from bisect import bisect_left
from contextvars import Context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis, RedisError
from rq import Queue, SimpleWorker

from errand import job, job_id
from errand.contract.attempt import PlainAttempt
from errand.redis import keys
from tests.support.job_fixtures import FIXTURES, Add, Perform


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


def seen(ledger: Path) -> list[dict[str, str]]:
    """What each attempt found in Errand's fields at its start."""
    return [json.loads(line) for line in ledger.read_text().splitlines()]


def field(redis: Redis, key: str, name: str) -> Any:
    return json.loads(redis.hget(key, name) or b"null")


def test_attempts_are_counted(perform: Perform, redis: Redis, ledger: Path) -> None:
    job = perform("witness", {"ledger": str(ledger), "then": "fail"}, tries=3)
    assert redis.hget(job.key, "errand_attempts") == b"3"
    assert [found["errand_attempts"] for found in seen(ledger)] == ["1", "2", "3"]


def test_a_new_attempt_begins_without_the_last_ones_progress_and_error(
    perform: Perform, redis: Redis, ledger: Path
) -> None:
    job = perform("witness", {"ledger": str(ledger), "then": "fail"}, tries=2)
    assert [sorted(found) for found in seen(ledger)] == [["errand_attempts"]] * 2
    assert field(redis, job.key, "errand_progress")["done"] == 2
    assert field(redis, job.key, "errand_error")["type"] == "ValueError"


def test_the_last_report_is_in_the_hash_when_the_job_has_finished(perform: Perform, redis: Redis, ledger: Path) -> None:
    job = perform("witness", {"ledger": str(ledger)})
    progress = field(redis, job.key, "errand_progress")
    assert (progress["done"], progress["total"], progress["message"]) == (2, 2, "all")
    assert (job.return_value(), field(redis, job.key, "errand_error")) == ("done", None)


def test_an_ordinary_failure_spends_its_retries(perform: Perform, ledger: Path) -> None:
    job = perform("witness", {"ledger": str(ledger), "then": "fail"}, tries=3)
    assert (len(seen(ledger)), job.get_status()) == (3, "failed")


def test_a_permanent_error_spends_no_retries(perform: Perform, redis: Redis, ledger: Path) -> None:
    job = perform("witness", {"ledger": str(ledger), "then": "permanent"}, tries=3)
    assert (len(seen(ledger)), job.get_status()) == (1, "failed")
    assert field(redis, job.key, "errand_error") == {"type": "PermanentError", "message": "no use"}


def test_a_payload_that_does_not_fit_spends_no_retries_and_names_the_field(perform: Perform, redis: Redis) -> None:
    job = perform("witness", {"then": "fail"}, tries=3)
    assert (job.get_status(), redis.hget(job.key, "errand_attempts")) == ("failed", b"1")
    assert field(redis, job.key, "errand_error") == {
        "type": "InvalidPayloadError",
        "message": "the stored payload does not fit this job any more: ledger: Field required",
    }


def test_the_error_is_there_while_the_retry_waits(perform: Perform, redis: Redis, ledger: Path) -> None:
    job = perform("witness", {"ledger": str(ledger), "then": "fail"}, tries=2, wait_seconds=600)
    assert job.get_status() == "scheduled"
    assert field(redis, job.key, "errand_error")["type"] == "ValueError"


def test_a_long_message_is_cut(perform: Perform, redis: Redis, ledger: Path) -> None:
    job = perform("witness", {"ledger": str(ledger), "then": "fail"})
    assert len(field(redis, job.key, "errand_error")["message"]) == 2000


def test_a_report_of_other_numbers_and_broken_unicode_is_stored_as_plain_json(
    perform: Perform, redis: Redis, ledger: Path
) -> None:
    for then, part in (("decimal", ("done", 2.0)), ("surrogate", ("message", "all ?"))):
        job = perform("witness", {"ledger": str(ledger), "then": then})
        assert job.get_status() == "finished"
        assert part in field(redis, job.key, "errand_progress").items()


def test_a_job_deleted_while_it_runs_does_not_come_back_as_half_a_hash(
    perform: Perform, redis: Redis, ledger: Path
) -> None:
    found: list[Any] = []
    succeed = PlainAttempt.succeed

    def look(self: PlainAttempt) -> None:
        succeed(self)
        found.append(redis.hgetall(self._job.key))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PlainAttempt, "succeed", look)
        perform("witness", {"ledger": str(ledger), "then": "vanish"})
    assert found == [{}]


def test_a_finished_job_is_marked_in_its_batch(perform: Perform, redis: Redis, ledger: Path) -> None:
    redis.hset("errand:batch:b1", "id1", "")
    perform("witness", {"ledger": str(ledger)}, batch="b1", job_id="id1")
    assert redis.hgetall("errand:batch:b1") == {b"id1": b"finished"}


def test_a_failed_job_is_not_marked_finished_in_its_batch(perform: Perform, redis: Redis, ledger: Path) -> None:
    redis.hset("errand:batch:b1", "id1", "")
    perform("witness", {"ledger": str(ledger), "then": "fail"}, batch="b1", job_id="id1")
    assert redis.hgetall("errand:batch:b1") == {b"id1": b""}


def test_work_that_is_done_does_not_fail_for_its_batchs_record(perform: Perform, redis: Redis, ledger: Path) -> None:
    redis.set("errand:batch:b1", "no hash, so that noting the end is an error")
    assert perform("witness", {"ledger": str(ledger)}, batch="b1").get_status() == "finished"


def test_a_batch_that_has_expired_does_not_come_back(perform: Perform, redis: Redis, ledger: Path) -> None:
    perform("witness", {"ledger": str(ledger)}, batch="gone")
    assert not redis.exists("errand:batch:gone")


def test_a_report_that_redis_does_not_take_leaves_the_job_running(
    perform: Perform, ledger: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ordinary = PlainAttempt._eval

    def refuse(self: PlainAttempt, script: str, key: str, *args: str) -> Any:
        if "errand_progress" in args:
            raise RedisError("no room")
        return ordinary(self, script, key, *args)

    monkeypatch.setattr(PlainAttempt, "_eval", refuse)
    job = perform("witness", {"ledger": str(ledger)})
    assert (job.get_status(), job.return_value()) == ("finished", "done")
    assert "progress report dropped: no room" in caplog.text


def count(redis: Redis) -> dict[str, int]:
    """Return what was counted, by type and end, in buckets of any time."""
    counts: dict[str, int] = {}
    for key in redis.keys("errand:tally:*"):
        for name, number in redis.hgetall(key).items():
            type, *middle, end = name.decode().split("|")
            if middle:
                assert all(bucket.isdecimal() for bucket in middle)
                counts[f"{type} {end}"] = counts.get(f"{type} {end}", 0) + int(number)
    return counts


def test_a_finished_job_is_counted_with_the_time_that_it_took(perform: Perform, redis: Redis, ledger: Path) -> None:
    perform("witness", {"ledger": str(ledger)})
    assert count(redis) == {"witness finished": 1}
    assert {b"witness|w", b"witness|r"} < redis.hgetall(redis.keys("errand:tally:*")[0]).keys()


def test_failures_are_counted_by_whether_another_try_follows(perform: Perform, redis: Redis, ledger: Path) -> None:
    perform("witness", {"ledger": str(ledger), "then": "fail"}, tries=3)
    assert count(redis) == {"witness retried": 2, "witness failed": 1}


def test_a_permanent_failure_is_counted_as_one(perform: Perform, redis: Redis, ledger: Path) -> None:
    perform("witness", {"ledger": str(ledger), "then": "permanent"}, tries=3)
    assert count(redis) == {"witness failed": 1}


@pytest.mark.parametrize("hours", [-1, 1])
def test_the_times_of_an_attempt_are_redis_own_whatever_this_hosts_clock_says(
    redis: Redis, add_folder: Add, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    add_folder(FIXTURES / "jobs")
    queue = Queue("tests", connection=redis, serializer="json")
    job = queue.enqueue("jobs.sleep.run.perform", seconds=0.1)
    queued_at = datetime.now(UTC) - timedelta(seconds=100)
    redis.hset(job.key, "enqueued_at", queued_at.isoformat().replace("+00:00", "Z"))
    ordinary = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: ordinary() + hours * 3600)
        Context().run(SimpleWorker([queue], connection=redis, serializer="json").work, burst=True)
    reported_at = datetime.fromisoformat(field(redis, job.key, "errand_progress")["updated_at"])
    assert abs(reported_at.timestamp() - ordinary()) < 60
    counts = {name: int(number) for name, number in redis.hgetall(redis.keys("errand:tally:*")[0]).items()}
    wait, ran = (counts.pop(name) / 1_000_000 for name in (b"sleep|w", b"sleep|r"))
    assert 100 <= wait < 160
    assert 0.1 <= ran < 60
    buckets = [bisect_left(keys.TALLY_BOUNDS, seconds) for seconds in (wait, ran)]
    assert counts == {f"sleep|{buckets[0]}|{buckets[1]}|finished".encode(): 1}


def test_a_job_that_was_never_queued_is_counted_without_a_wait(redis: Redis) -> None:
    job = Queue("tests", connection=redis, serializer="json").create_job("shop.jobs.tally.run.perform")
    attempt = PlainAttempt(job)
    job.save()
    assert attempt.begin() == ""
    attempt.succeed()
    found = sorted(name.decode().split("|") for name in redis.hgetall(redis.keys("errand:tally:*")[0]))
    assert found == [["other", "", "0", "finished"], ["other", "r"]]


@job()
def run() -> str:
    return job_id()


def test_without_an_rq_job_nothing_is_written_and_an_id_is_made() -> None:
    assert len(run.perform()) == 36


def test_work_half_done_is_tried_again_by_a_plain_worker_while_there_are_tries(perform: Perform, redis: Redis) -> None:
    done = perform("service", {"undone": True}, tries=2, wait_seconds=60)
    assert (done.get_status(), redis.hget(done.key, "retries_left")) == ("scheduled", b"0")
    assert b"there is something left" in (redis.hget(done.key, "errand_error") or b"")


def test_without_one_it_finishes_there_with_what_is_done(perform: Perform) -> None:
    done = perform("service", {"undone": True})
    assert (done.get_status(), done.return_value()) == ("finished", "a part")


def test_a_service_that_is_down_is_a_failure_as_any_other_there(perform: Perform) -> None:
    assert perform("service", {"flag": "/nowhere"}).get_status() == "failed"
