"""What was asked of a job, as its record has it, and its attempts."""

import asyncio
import json
import zlib
from base64 import b64encode
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from errand.contract.bodies import MARK, list_bodies, take_apart
from errand.redis import keys
from errand.store.new_job import NewJob
from errand.store.observe.attempts import AttemptReader, AttemptRecord
from errand.store.observe.payloads import show_payload
from errand.store.observe.record import FIELDS, Edit, Record, RecordReader
from errand.store.status import JobError
from tests.support.job_types import TALLY

ID = "5f0c7d1e-0000-4000-8000-000000000000"
TIME = "2030-01-01T00:00:00.500000Z"
SECONDS = 1893456000.5
FAILED = JobError("ValueError", "no")
ERROR = json.dumps({"type": "ValueError", "message": "no"})


def record(**fields: str) -> Record:
    return Record(ID, dict.fromkeys(FIELDS, "") | fields)


def test_a_record_is_read_with_all_of_its_fields() -> None:
    redis = Mock(hmget=AsyncMock(side_effect=[[b"failed" if name == "status" else None for name in FIELDS]] * 1))
    found = asyncio.run(RecordReader(redis).read(ID))
    assert found == record(status="failed")
    redis.hmget.assert_called_once_with(keys.JOB + ID, FIELDS)
    redis = Mock(hmget=AsyncMock(return_value=[None if name == "status" else b"x\xff" for name in FIELDS]))
    assert asyncio.run(RecordReader(redis).read(ID)) is None
    redis = Mock(hmget=AsyncMock(return_value=[b"x\xff"] * len(FIELDS)))
    found = asyncio.run(RecordReader(redis).read(ID))
    assert found is not None
    assert (found.type, found.webhook) == ("x\ufffd", "x\ufffd")


@pytest.mark.parametrize(
    ("fields", "may"),
    [
        *[({"status": status}, True) for status in keys.ENDED_BADLY],
        ({"status": "finished"}, False),
        ({"status": "finished", "errand_partial": "1"}, True),
        ({"status": "queued", "errand_partial": "1"}, False),
    ],
)
def test_what_ended_badly_or_with_work_undone_may_be_queued_again(fields: dict[str, str], may: bool) -> None:
    assert record(**fields).may_requeue is may


def test_options_that_are_the_types_own_are_not_shown() -> None:
    usual = record(timeout=str(TALLY.timeout_seconds), retry_intervals="[1, 1, 1, 1]").read_options(TALLY)
    assert usual == {
        "tags": (),
        "at_front": False,
        "limit": None,
        "webhook": None,
        "expires_in_seconds": None,
        "timeout_seconds": None,
        "tries": None,
    }


def test_options_that_were_asked_for_are_shown() -> None:
    found = record(
        timeout="7",
        errand_backoff='{"retries": 59}',
        errand_tags='["red", 7]',
        enqueue_at_front="1",
        rate_limit_key="k",
        rate_limit_concurrency="3",
        errand_webhook="w",
        created_at="2030-01-01T00:00:00.000000Z",
        errand_expires_at="2030-01-01T00:01:30.500Z",
    )
    assert found.read_options(TALLY) == {
        "tags": ("red", "7"),
        "at_front": True,
        "limit": ("k", 3),
        "webhook": "w",
        "expires_in_seconds": 90.5,
        "timeout_seconds": 7,
        "tries": 60,
    }


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"rate_limit_key": "k"}, "limit", ("k", 1)),
        ({"retry_intervals": "[1, 1]"}, "tries", 3),
        ({"retry_intervals": ""}, "tries", 1),
        ({"timeout": ""}, "timeout_seconds", None),
        ({"errand_expires_at": TIME}, "expires_in_seconds", None),
        ({"created_at": TIME}, "expires_in_seconds", None),
        ({"errand_expires_at": TIME, "created_at": TIME}, "expires_in_seconds", 1.0),
    ],
)
def test_an_option_is_shown_as_far_as_the_record_has_it(fields: dict[str, str], name: str, value: Any) -> None:
    assert record(**fields).read_options(TALLY)[name] == value


def test_edits_are_shown_and_damaged_ones_are_none() -> None:
    one = {"at": "a", "attempts": 2, "payload": b64encode(b"old").decode()}
    assert record(errand_edits=json.dumps([one])).read_edits() == [Edit("a", 2, b"old")]
    for damaged in ("", "{", "7", json.dumps([{"at": "a"}]), json.dumps([one | {"payload": "x"}])):
        assert record(errand_edits=damaged).read_edits() == []


def test_its_webhooks_ids_follow_from_how_it_ended_and_how_often() -> None:
    ended = {"status": "failed", "errand_attempts": "2", "errand_requeue": "t"}
    ids = {"92cbca46-5b9a-5cca-8c52-4162b6ac091b", "c1217aed-4ff0-5239-897d-015300d90978"}
    assert set(record(**ended, errand_batch="b").list_webhook_ids()) == ids
    assert record(**ended).list_webhook_ids() == ["92cbca46-5b9a-5cca-8c52-4162b6ac091b"]
    for other in ({"status": "stopped"}, {"errand_attempts": "3"}, {"errand_requeue": "u"}):
        ids |= set(record(**ended | other).list_webhook_ids())
    assert len(ids) == 5


@pytest.mark.parametrize(
    ("payload", "whole", "shown"),
    [
        ({"a": 1, "b": 2}, None, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, "a", {"a": 1, "b": 2}),
        ({"a": 1}, "a", 1),
        ({"a": 1}, None, {"a": 1}),
        ([1], None, None),
    ],
)
def test_a_payload_is_shown_as_it_was_posted(payload: Any, whole: str | None, shown: Any) -> None:
    stored = json.dumps(["f", None, [], payload]).encode()
    assert show_payload(zlib.compress(stored), whole) == show_payload(stored, whole) == shown
    assert show_payload(stored.replace(b"[]", b"[1]"), whole) is None
    assert show_payload(stored[1:], whole) is None


def test_what_lies_outside_of_a_payload_is_shown_by_its_name_and_size() -> None:
    job = NewJob(TALLY, take_apart({"a": "x" * 300_000, "b": 1}, None)[0])
    ((name, size),) = list_bodies(job.payload)
    shown = show_payload(json.dumps(["f", None, [], job.payload]).encode(), None)
    assert shown == {"a": {MARK: {"sha256": name, "bytes": size}}, "b": 1}


def pack(text: str) -> str:
    return b64encode(zlib.compress(text.encode())).decode()


def read(kept: Any = None, traces: Any = None, recorded: str | None = None, **job: str) -> list[AttemptRecord] | None:
    answer = json.dumps([{"status": ""} | job, kept, traces or {}, recorded]).encode()
    script = AsyncMock(return_value=answer)
    found = asyncio.run(AttemptReader(Mock(register_script=Mock(return_value=script))).read(ID, full=True))
    assert script.call_args.kwargs["keys"] == [keys.JOB + ID, keys.RESULTS + ID, keys.ATTEMPTS + ID]
    return found


def keep(**fields: Any) -> str:
    return json.dumps(fields)


def test_of_an_unknown_job_no_attempts_are_known() -> None:
    assert read() is None
    assert read(status="queued") == []


def test_an_attempt_is_shown_as_it_was_written_down_and_they_come_in_order() -> None:
    kept = keep(
        worker="w",
        started=SECONDS,
        ended=SECONDS + 1,
        outcome="failed",
        error={"type": "ValueError", "message": "no"},
        frame="f",
        trace="t",
    )
    assert read(["10", keep(), "2", kept], {"t": pack("text")}) == [
        AttemptRecord(2, "w", TIME, "2030-01-01T00:00:01.500000Z", "failed", FAILED, "f", "text"),
        AttemptRecord(10, None, None, None, None),
    ]


def test_an_attempt_that_runs_or_has_finished_is_shown_by_the_job() -> None:
    began = {"started_at": "s", "ended_at": "e", "worker_name": "w", "errand_attempts": "2"}
    assert read(status="started", **began) == [AttemptRecord(2, "w", "s", None, None)]
    assert read(status="finished", **began) == [AttemptRecord(2, "w", "s", "e", "finished")]
    assert read(["2", keep(worker="v", outcome="failed")], status="finished", **began) == [
        AttemptRecord(2, "w", "s", "e", "finished")
    ]
    assert read(["2", keep(worker="v")], status="started", **began) == [AttemptRecord(2, "v", None, None, None)]


@pytest.mark.parametrize(
    ("job", "number"),
    [
        ({"errand_attempts": "0"}, None),
        ({"errand_attempts": "3"}, 3),
        ({}, 1),
        ({"number_of_retries": "2"}, 3),
        ({"number_of_retries": "x"}, 1),
        ({"errand_attempts": "3", "number_of_retries": "7"}, 3),
        ({"errand_attempts": "3", "started_at": ""}, None),
    ],
)
def test_attempts_are_counted_by_the_job_or_by_rqs_retries(job: dict[str, str], number: int | None) -> None:
    found = read(**{"status": "finished", "started_at": "s"} | job)
    assert found is not None
    assert [attempt.number for attempt in found] == ([] if number is None else [number])


@pytest.mark.parametrize(
    ("job", "outcome", "error", "has_trace"),
    [
        ({"status": "failed", "errand_error": ERROR}, "failed", FAILED, True),
        ({"status": "stopped", "errand_error": ERROR}, "stopped", FAILED, True),
        ({"status": "failed"}, "lost", JobError("Lost", "killed"), True),
        ({"status": "stopped"}, "stopped", JobError("Lost", "killed"), True),
        ({"status": "failed", "errand_error": "{"}, "failed", None, True),
        ({"status": "queued", "errand_error": ERROR}, "failed", FAILED, False),
        ({"status": "scheduled", "errand_error": ERROR}, "failed", FAILED, False),
        ({"status": "rate_limited", "errand_error": ERROR}, "failed", FAILED, False),
    ],
)
def test_an_attempt_that_failed_and_was_not_written_down_is_shown_by_the_job(
    job: dict[str, str], outcome: str, error: JobError | None, has_trace: bool
) -> None:
    began = {"started_at": "s", "ended_at": "e", "worker_name": "w", "errand_attempts": "1", "errand_frame": "f"}
    trace = "killed" if has_trace else None
    expected = AttemptRecord(1, "w", "s", "e", outcome, error, "f", trace)
    assert read(recorded=pack("killed"), **began, **job) == [expected]


@pytest.mark.parametrize(
    "job",
    [{"status": "queued"}, {"status": "queued", "errand_error": ERROR, "errand_parked": "{}"}, {"status": "deferred"}],
)
def test_a_job_that_waits_and_has_not_failed_has_no_such_attempt(job: dict[str, str]) -> None:
    assert read(started_at="s", errand_attempts="1", **job) == []


@pytest.mark.parametrize(
    ("status", "outcome", "own", "trace"),
    [
        ("failed", "failed", None, "recorded"),
        ("failed", "lost", None, "recorded"),
        ("stopped", "failed", None, "recorded"),
        ("failed", "failed", "own", "own"),
        ("failed", "interrupted", None, None),
        ("queued", "failed", None, None),
    ],
)
def test_the_last_attempts_traceback_is_rqs_where_it_has_none_of_its_own(
    status: str, outcome: str, own: str | None, trace: str | None
) -> None:
    kept = ["1", keep(outcome=outcome, **({"trace": "t"} if own else {}))]
    traces = {"t": pack(own)} if own else {}
    found = read(kept, traces, pack("recorded"), status=status, started_at="s", errand_attempts="1")
    assert found == [AttemptRecord(1, None, None, None, outcome, traceback=trace)]
