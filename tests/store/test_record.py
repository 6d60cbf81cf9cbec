"""What a script's answer says of a job, field by field."""

import json
import zlib
from base64 import b64encode
from typing import Any

import pytest

from errand.redis import keys
from errand.store.status import DEPTH_LIMIT, JobError, JobStatus, LinkedJob, Progress, Waiting, read_status

ID = "5f0c7d1e-0000-4000-8000-000000000000"
PARKED = {"reason": "the queue is paused", "since": "2026-11-29T17:00:00Z"}
FAILED = JobError("ValueError", "no")


def pack(text: str) -> str:
    return b64encode(text.encode()).decode()


def zip_up(text: str) -> str:
    return b64encode(zlib.compress(text.encode())).decode()


def answer(found: dict[str, str], last: Any = None, due: str | None = None, children: Any = (), *pending: int) -> bytes:
    return json.dumps([found, last, due, children, *pending]).encode()


def read(last: dict[str, str] | None = None, **found: str) -> JobStatus:
    flat = [part for pair in last.items() for part in pair] if last else None
    job = read_status(ID, answer({"status": "queued"} | found, flat))
    assert job is not None
    return job


def test_a_job_without_a_status_is_none() -> None:
    assert read_status(ID, answer({"origin": "email"})) is None


def test_each_field_of_a_job_is_shown() -> None:
    found = {
        "status": "started",
        "description": "email",
        "origin": "mail",
        "errand_progress": '{"done": 1, "total": 4, "message": "m", "updated_at": "p"}',
        "errand_attempts": "5",
        "errand_interruptions": "3",
        "errand_losses": "1",
        "retries_left": "7",
        "created_at": "c",
        "enqueued_at": "q",
        "started_at": "s",
        "ended_at": "e",
        "errand_error": '{"type": "ValueError", "message": "no"}',
        "errand_parked": json.dumps(PARKED),
        "errand_expires_at": "x",
        "errand_lines": "12 345",
        "errand_batch": "b",
        "errand_tags": '["red"]',
        "dependency_ids": '["p1"]',
    }
    assert read_status(ID, answer(found, None, "1893456000", [["c1", "deferred"], ["c2", ""]], 4)) == JobStatus(
        id=ID,
        type="email",
        queue="mail",
        status="started",
        progress=Progress(1, 4, 25, "m", "p"),
        attempts=5,
        interruptions=3,
        losses=1,
        retries_left=7,
        created_at="c",
        enqueued_at="q",
        run_at="2030-01-01T00:00:00Z",
        started_at="s",
        ended_at=None,
        result=None,
        error=FAILED,
        waiting=None,
        batch="b",
        tags=["red"],
        depends_on=["p1"],
        dependents=[LinkedJob("c1", "deferred"), LinkedJob("c2", None)],
        expires_at="x",
        dependents_pending=4,
        lines=12,
    )


def test_what_a_record_does_not_say_is_empty() -> None:
    assert read() == JobStatus(
        id=ID,
        type="",
        queue="",
        status="queued",
        progress=Progress(),
        attempts=0,
        interruptions=0,
        losses=0,
        retries_left=0,
        created_at=None,
        enqueued_at=None,
        run_at=None,
        started_at=None,
        ended_at=None,
        result=None,
        error=None,
        waiting=None,
        batch=None,
        tags=[],
        depends_on=[],
        dependents=[],
    )


@pytest.mark.parametrize("status", ["queued", "deferred", "scheduled", "started", *keys.ENDED])
def test_a_job_has_ended_and_waits_as_its_status_says(status: str) -> None:
    job = read(status=status, ended_at="e", errand_parked=json.dumps(PARKED))
    assert job.ended_at == ("e" if status in keys.ENDED else None)
    assert job.waiting == (Waiting(**PARKED) if status == "queued" else None)


@pytest.mark.parametrize("field", ["errand_progress", "errand_tags"])
def test_a_job_with_a_damaged_part_says_so_and_shows_its_plain_fields(field: str) -> None:
    plain: dict[str, Any] = {
        "origin": "mail",
        "description": "email",
        "created_at": "c",
        "enqueued_at": "q",
        "started_at": "s",
    }
    job = read(status="failed", ended_at="e", errand_attempts="5", **(plain | {field: "{"}))
    assert job.error == JobError("DamagedJob", "a part of its record can't be read")
    assert (job.status, job.queue, job.type, job.attempts) == ("failed", "mail", "email", 0)
    assert (job.created_at, job.enqueued_at, job.started_at, job.ended_at) == ("c", "q", "s", "e")
    assert (job.run_at, job.dependents) == (None, [])


def test_what_is_no_text_in_an_answer_is_replaced() -> None:
    job = read_status(ID, b'[{"status": "queued", "description": "\xff"}, null, null, []]')
    assert job is not None
    assert job.type == "\ufffd"


@pytest.mark.parametrize(
    ("status", "shown"),
    [("failed", True), ("stopped", True), ("queued", False), ("scheduled", False), ("finished", False)],
)
def test_what_rq_recorded_of_an_error_is_shown_of_a_job_that_ended_by_it(status: str, shown: bool) -> None:
    assert read({"exc_string": zip_up("Traceback\nValueError: no")}, status=status).error == (FAILED if shown else None)


@pytest.mark.parametrize(
    ("trace", "error"),
    [
        ("a.b.ValueError: no: such\n", JobError("ValueError", "no: such")),
        ("two words: no", JobError("Lost", "two words: no")),
        ("killed", JobError("Lost", "killed")),
    ],
)
def test_an_errors_last_line_is_its_type_and_its_message(trace: str, error: JobError) -> None:
    assert read({"exc_string": zip_up(trace)}, status="failed").error == error


def test_an_error_too_large_to_be_read_is_said_to_be() -> None:
    large = JobError("Unknown", "the recorded error is too large to be shown")
    assert read({"exc_string_bytes": "9999999"}, status="failed").error == large
    assert read({"type": "2"}, status="failed").error is None


def test_a_recorded_error_is_shown_as_far_as_it_can_be_read() -> None:
    broken = b64encode(zlib.compress(b"ValueError: \xff")).decode()
    assert read({"exc_string": broken}, status="failed").error == JobError("ValueError", "\ufffd")
    unread = JobError("Unknown", "the recorded error can't be read")
    assert read({"exc_string": pack("no zlib")}, status="failed").error == unread


def test_what_the_attempt_noted_of_its_error_comes_before_what_rq_recorded() -> None:
    noted = '{"type": "TypeError", "message": "yes"}'
    job = read({"exc_string": zip_up("ValueError: no")}, status="failed", errand_error=noted)
    assert job.error == JobError("TypeError", "yes")


def test_a_result_is_shown_of_a_finished_job_alone() -> None:
    stored = {"return_value": pack('{"a": 1}')}
    assert [read(stored, status=status).result for status in ("finished", "failed")] == [{"a": 1}, None]
    assert read({"type": "1"}, status="finished").result is None
    assert read(stored, status="finished", errand_error='{"type": "ValueError", "message": "no"}').error is None


def test_a_result_too_large_to_be_read_is_shown_with_its_size() -> None:
    error = read({"return_value_bytes": "12345678"}, status="finished").error
    assert error is not None
    assert error.type == "UnreadableResult"
    assert f"it has 12,345,678 bytes, more than {keys.RESULT_BYTES:,}" in error.message


@pytest.mark.parametrize("pair", ["[]", '{"":}'])
def test_a_result_is_as_deep_as_it_may_be(pair: str) -> None:
    begin, end = pair[:-1], pair[-1]
    for depth, is_shown in ((DEPTH_LIMIT, True), (DEPTH_LIMIT + 1, False)):
        job = read({"return_value": pack(begin * depth + "1" + end * depth)}, status="finished")
        assert (job.error is None) == is_shown
        wide = f"[[{'[],' * DEPTH_LIMIT}0],{begin * (depth - 1)}1{end * (depth - 1)}]"
        assert (read({"return_value": pack(wide)}, status="finished").error is None) == is_shown


@pytest.mark.parametrize(
    ("report", "percent"),
    [
        ({"done": 329, "total": 1000}, 32),
        ({"done": 0, "total": 3}, 0),
        ({"done": None, "total": 3}, None),
        ({"done": 5, "total": None}, None),
        ({"done": 5, "total": 0}, None),
        ({"message": "m"}, None),
    ],
)
def test_percent_is_known_where_both_numbers_are(report: dict[str, Any], percent: int | None) -> None:
    job = read(status="started", errand_progress=json.dumps(report))
    assert (job.progress.percent, job.error) == (percent, None)


@pytest.mark.parametrize("stored", ["", "-1", "1.5", "x"])
def test_a_count_that_is_none_is_0(stored: str) -> None:
    assert read(errand_attempts=stored).attempts == 0
