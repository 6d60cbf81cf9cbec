"""What the script that stores jobs is called with."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import pytest

from errand.contract.retry import Backoff
from errand.redis import keys
from errand.store.fields import CallBuilder
from errand.store.idempotency import Claim
from errand.store.new_job import NewJob
from errand.store.settings import LifetimeSettings
from tests.support.job_types import TALLY, TYPES

NOW = datetime(2030, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)
SECONDS = 1893456000
ID, PARENT = "5f0c7d1e-0000-4000-8000-000000000000", "bcdefa92-2fcf-4655-b44f-7846d446f290"
SETTINGS = LifetimeSettings(JOB_RESULT_TTL_SECONDS=60, JOB_FAILURE_TTL_SECONDS=600)


@pytest.fixture
def builder() -> CallBuilder:
    return CallBuilder(SETTINGS, TYPES, Mock(moment=lambda: NOW))


def new_job(**options: Any) -> NewJob:
    return NewJob(TALLY, {"number": 7}, **{"id": ID, **options})


def read_more(args: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(args[3])
    return found


def read_shared(builder: CallBuilder, job: NewJob) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what is said of a job beside its record, and the record's fields."""
    described = json.loads(str(builder.build([job])[1][4]))
    fields = described.pop("fields")
    return described, dict(zip(fields[::2], fields[1::2], strict=True))


def test_the_keys_are_those_of_the_batch_the_claim_the_jobs_and_the_unique_key(builder: CallBuilder) -> None:
    claim, job = Claim("ops", "k", "f"), new_job(unique=("u", False))
    assert builder.build([job])[0] == [keys.QUEUES] * 3 + [keys.JOB + ID, f"{keys.UNIQUE}tally:u"]
    assert builder.build([new_job()], ("b", "log"), claim)[0] == [
        keys.QUEUES,
        keys.BATCH + "b",
        claim.record,
        keys.JOB + ID,
    ]


def test_a_plain_call_has_the_time_how_long_failures_are_kept_and_the_job(builder: CallBuilder) -> None:
    args = builder.build([new_job()])[1]
    text = "2030-01-01T00:00:00.250000Z"
    assert args[:4] == [SECONDS, text, 600, "{}"]
    assert args[5:8] == [text, SECONDS * 1_000_000 + 250_000, 1]
    assert len(args) == 10


def test_a_job_created_before_has_its_own_time(builder: CallBuilder) -> None:
    args = builder.build([new_job(created_at=NOW - timedelta(seconds=1))])[1]
    assert args[5:7] == ["2029-12-31T23:59:59.250000Z", (SECONDS - 1) * 1_000_000 + 250_000]


@pytest.mark.parametrize(
    ("due", "ttl_seconds"),
    [([None], 600), ([2], 602), ([1.5], 602), ([-5], 600), ([None, 1, 9], 609)],
)
def test_failures_are_kept_from_when_the_last_job_is_due(
    builder: CallBuilder, due: list[float | None], ttl_seconds: int
) -> None:
    jobs = [new_job(run_at=None if seconds is None else NOW + timedelta(seconds=seconds)) for seconds in due]
    assert builder.build(jobs)[1][2] == ttl_seconds


def test_jobs_that_are_alike_are_described_once(builder: CallBuilder) -> None:
    args = builder.build([new_job(), new_job(), new_job(tags=("red",))])[1]
    assert (args[7], args[8 + 4 + 3]) == (2, 1)
    assert len(args) == 4 + (4 + 4) + (4 + 2)


def test_a_batch_a_claim_a_unique_key_and_bodies_are_described_where_they_are(builder: CallBuilder) -> None:
    claim, due = Claim("ops", "k", "f"), NOW + timedelta(seconds=2)
    plain = ["type", "log", "created_at", "2030-01-01T00:00:00.250000Z"]
    assert read_more(builder.build([new_job()], ("b", "log"))[1]) == {"batch": plain}
    hooked = new_job(webhook="https://a.example")
    assert read_more(builder.build([hooked], ("b", "log"))[1]) == {"batch": [*plain, "webhook", "https://a.example"]}
    for replaces in (True, False):
        asked = read_more(builder.build([new_job(unique=("u", replaces))])[1])
        assert asked == {"unique": {"replace": replaces}}
    assert read_more(builder.build([new_job()], holder="h")[1]) == {"bodies": {"holder": "h", "all": [], "of": [[]]}}
    for batch, id in ((None, ID), (("b", "log"), "b")):
        kept = read_more(builder.build([new_job(run_at=due)], batch, claim)[1])["claim"]
        assert kept == claim.describe(id, NOW, datetime(2030, 1, 1, 0, 0, 3, tzinfo=UTC))


def test_an_ordinary_job_is_described_without_what_it_does_not_need(builder: CallBuilder) -> None:
    described, fields = read_shared(builder, new_job())
    assert described == {
        "queue": TALLY.queue.name,
        "type": "tally",
        "after": [],
        "on_failure": "cancel",
        "front": False,
        "tags": [],
    }
    assert {name: value for name, value in fields.items() if name.startswith("errand")} == {}
    assert (fields["timeout"], fields["result_ttl"], fields["failure_ttl"]) == ("120", "60", "600")
    assert fields["retries_left"] == "4"
    assert not {"status", "created_at", "data", "retry_intervals"} & fields.keys()


def test_what_is_asked_of_a_job_is_shown(builder: CallBuilder) -> None:
    asked = {"after": (PARENT,), "on_failure": "wait", "at_front": True, "tags": ("red",), "limit": ("k", 2)}
    described, fields = read_shared(
        builder, new_job(**asked, run_at=NOW, expires_in_seconds=1.5, timeout_seconds=7, tries=60, webhook="w")
    )
    assert described == {
        "queue": TALLY.queue.name,
        "type": "tally",
        "after": [PARENT],
        "on_failure": "wait",
        "front": True,
        "tags": ["red"],
        "limit": ["k", 2],
        "expires_ms": SECONDS * 1000 + 1750,
        "score": SECONDS + 1,
    }
    own = {name: value for name, value in fields.items() if name.startswith("errand")}
    assert own == {
        "errand_tags": '["red"]',
        "errand_on_failure": "wait",
        "errand_backoff": Backoff(tries=60).policy,
        "errand_webhook": "w",
        "errand_expires_at": "2030-01-01T00:00:01.750Z",
    }
    assert (fields["timeout"], fields["retries_left"]) == ("7", "59")
    assert json.loads(fields["dependency_ids"]) == [PARENT]


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        ({"batch": "b", "webhook": "w"}, "errand_webhook", None),
        ({"batch": "b"}, "errand_batch", "b"),
        ({"on_failure": "run", "tags": ("red",)}, "errand_on_failure", None),
        ({"after": (PARENT,)}, "errand_on_failure", None),
        ({"after": (PARENT,), "on_failure": "run"}, "errand_on_failure", "run"),
        ({"after": (PARENT,), "on_failure": "run"}, "allow_dependency_failures", "1"),
        ({"after": (PARENT,), "on_failure": "wait"}, "allow_dependency_failures", None),
        ({"at_front": True}, "enqueue_at_front", "1"),
        ({"tries": 1}, "retries_left", None),
        ({"tries": 2}, "retries_left", "1"),
        ({"expires_in_seconds": 1}, "errand_expires_by", None),
    ],
)
def test_a_field_is_there_where_it_says_something(
    builder: CallBuilder, options: dict[str, Any], field: str, value: str | None
) -> None:
    assert read_shared(builder, new_job(**options))[1].get(field) == value


def test_a_job_that_must_have_ended_when_it_expires_says_so(
    builder: CallBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TALLY, "options", replace(TALLY.options, expires="end"))
    assert read_shared(builder, new_job(expires_in_seconds=1))[1]["errand_expires_by"] == "end"
    assert "errand_expires_by" not in read_shared(builder, new_job())[1]


def test_waits_are_drawn_for_each_job_and_none_where_it_is_not_tried_again(builder: CallBuilder) -> None:
    assert len(json.loads(str(builder.build([new_job(tries=3)])[1][9]))) == 2
    assert builder.build([replace(new_job(), tries=1)])[1][9] == ""
