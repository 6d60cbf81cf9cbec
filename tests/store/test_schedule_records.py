"""What is asked of the scripts of schedules, and what their answers say."""

import asyncio
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from errand.redis import keys
from errand.redis.memory import FullRedisError
from errand.store.fields import CallBuilder
from errand.store.schedules import schedules
from errand.store.schedules.occurrences import Every
from errand.store.schedules.schedule import (
    RUNS_KEPT,
    Schedule,
    ServedOccurrence,
    build_occurrences,
    build_run,
    is_busy,
    note_run,
    read_schedule,
    schedule_file,
)
from errand.store.schedules.schedules import (
    DamagedScheduleError,
    OwnedByFileError,
    Run,
    Schedules,
    StillBusyError,
    TypeGoneError,
)
from errand.store.settings import LifetimeSettings
from tests.support.job_types import TALLY, TYPES

NOW = datetime(2030, 1, 1, 0, 0, 5, tzinfo=UTC)
SECONDS = 1893456005
HOURLY = Schedule("hourly", "tally", {"number": 7}, every_seconds=3600)
TEXT = "2030-01-01T00:00:05Z"
STORED = HOURLY.describe(SECONDS) | {"source": "http", "created_at": "c", "updated_at": "u", "token": "t"}


def build(**said: Any) -> Any:
    """Schedules over scripts that give these answers, which are one each or a list with one a call."""
    steps = {
        name: AsyncMock(**({"side_effect": said[name]} if isinstance(said.get(name), list) else {}))
        for name in ("put", "list", "read", "change", "run")
    }
    redis = Mock(register_script=Mock(side_effect=list(steps.values())), time=AsyncMock(return_value=(SECONDS, 0)))
    redis.zrange = AsyncMock(return_value=said.get("names", []))
    builder = CallBuilder(LifetimeSettings(), TYPES, Mock(moment=lambda: NOW))
    memory = SimpleNamespace(check=AsyncMock(side_effect=said.get("memory")))
    found = Schedules(redis, builder, memory, TYPES)  # type: ignore[arg-type]
    return SimpleNamespace(schedules=found, **steps)


def pack(score: str = "1893456000", runs: Any = (), fates: Any = (), **changed: str) -> list[Any]:
    """A schedule as the script reads it."""
    flat = [part.encode() for pair in (STORED | changed).items() for part in pair]
    return [flat, score.encode(), list(runs), list(fates)]


def test_a_schedule_is_stored_as_the_script_is_asked() -> None:
    made = build(put=[[1], [0]])
    assert [asyncio.run(made.schedules.put(HOURLY)) for _ in range(2)] == [True, False]
    request = json.loads(made.put.call_args.kwargs["args"][0])
    assert request.pop("token")
    assert request == {"source": "http", "now": TEXT, "only": False, "schedules": [HOURLY.describe(SECONDS)]}


def test_a_job_files_schedule_is_not_stored_over_and_not_deleted() -> None:
    made = build(put=[[-1]], change=[b"file", 1, 0])
    with pytest.raises(OwnedByFileError):
        asyncio.run(made.schedules.put(HOURLY))
    with pytest.raises(OwnedByFileError):
        asyncio.run(made.schedules.delete("hourly"))
    assert [asyncio.run(made.schedules.delete("hourly")) for _ in range(2)] == [True, False]
    made.change.assert_called_with(args=["delete", "hourly"])


def test_none_is_stored_or_run_where_redis_is_full() -> None:
    made = build(memory=FullRedisError("full"))
    for ask in (made.schedules.put(HOURLY), made.schedules.run("hourly")):
        with pytest.raises(FullRedisError):
            asyncio.run(ask)
    assert not made.put.called
    assert not made.read.called


def test_each_field_of_a_schedule_is_shown() -> None:
    runs = [
        note_run(SECONDS, "", 1893456000, "j").encode(),
        note_run(SECONDS, "missed", 1893452400, None, "d").encode(),
    ]
    made = build(read=[pack(runs=runs, fates=[b"finished", b""], paused="1")])
    found = asyncio.run(made.schedules.read("hourly"))
    assert found.schedule == HOURLY
    assert (found.source, found.paused, found.created_at, found.updated_at, found.token) == (
        "http",
        True,
        "c",
        "u",
        "t",
    )
    assert found.next_runs == [f"2030-01-01T0{hour}:00:00Z" for hour in range(5)]
    assert found.runs == [
        Run("2030-01-01T00:00:00Z", TEXT, "j", "finished", None),
        Run("2029-12-31T23:00:00Z", TEXT, None, "missed", "d"),
    ]


@pytest.mark.parametrize("score", ["inf", "+inf"])
def test_one_without_a_next_occurrence_has_no_next_runs(score: str) -> None:
    found = asyncio.run(build(read=[pack(score)]).schedules.read("hourly"))
    assert (found.next_runs, found.runs, found.paused) == ([], [], False)


def test_an_unknown_schedule_is_none_and_is_not_resumed_or_run() -> None:
    made = build(read=[None] * 3)
    assert asyncio.run(made.schedules.read("x")) is None
    assert asyncio.run(made.schedules.resume("x")) is False
    assert asyncio.run(made.schedules.run("x")) is None


@pytest.mark.parametrize("damaged", [{"definition": "{"}, {"definition": "7"}, {"payload": "{"}, {"definition": "{}"}])
def test_a_damaged_schedule_is_refused(damaged: dict[str, str]) -> None:
    with pytest.raises(DamagedScheduleError):
        asyncio.run(build(read=[pack(**damaged)]).schedules.read("hourly"))


@pytest.mark.parametrize(
    ("stored", "fate", "run"),
    [
        (b"{", b"", Run(None, "", None, "", "its record can't be read")),
        (b"7", b"failed", Run(None, "", None, "failed", "its record can't be read")),
        (b"{}", b"", Run(None, "", None, "", None)),
        (b'{"at": "a", "status": "skipped"}', b"", Run(None, "a", None, "skipped", None)),
    ],
)
def test_a_run_is_shown_as_far_as_it_can_be_read(stored: bytes, fate: bytes, run: Run) -> None:
    found = asyncio.run(build(read=[pack(runs=[stored], fates=[fate])]).schedules.read("hourly"))
    assert found.runs == [run]


def test_schedules_are_listed_by_name_without_those_that_are_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "PAGE", 2)
    fields = [HOURLY.describe(SECONDS)["definition"].encode(), b"http", b"1", b"c", b"u"]
    run = note_run(SECONDS, "", None, "j").encode()
    made = build(
        names=[b"b", b"c", b"a"],
        list=[
            [b"b", b"1893456000", *fields, run, b"failed", b"c", b"1893456000", b"{", *fields[1:], b"", b""],
            [b"a", b"inf", *fields[:2], b"", *fields[3:], b"", b""],
        ],
    )
    found = asyncio.run(made.schedules.list())
    assert [call.kwargs["args"] for call in made.list.call_args_list] == [[b"b", b"c"], [b"a"]]
    assert [(one.schedule.name, one.paused, one.next_runs, one.token) for one in found] == [
        ("a", False, [], ""),
        ("b", True, ["2030-01-01T00:00:00Z"], ""),
    ]
    assert [one.runs for one in found] == [[], [Run(None, TEXT, "j", "failed", None)]]
    assert (found[0].source, found[0].created_at, found[0].updated_at) == ("http", "c", "u")


def test_a_paused_schedule_is_resumed_with_the_next_occurrence_from_now() -> None:
    made = build(read=[pack(), pack()], change=[b"changed", 1])
    assert asyncio.run(made.schedules.resume("hourly")) is True
    assert [call.kwargs["args"] for call in made.change.call_args_list] == [["resume", "hourly", "t", 1893459600]] * 2


def test_one_that_has_no_more_occurrences_is_resumed_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Every, "after", lambda self, moment: None)
    made = build(read=[pack()], change=[0])
    assert asyncio.run(made.schedules.resume("hourly")) is False
    assert made.change.call_args.kwargs["args"][3] == "+inf"


def test_what_is_changed_all_the_time_is_given_up() -> None:
    made = build(read=[pack()] * 10, change=[b"changed"] * 5, run=[0] * 5)
    for ask in (made.schedules.resume("hourly"), made.schedules.run("hourly")):
        with pytest.raises(TimeoutError, match="changed all the time"):
            asyncio.run(ask)
    assert (made.change.call_count, made.run.call_count) == (schedules.TRIES, schedules.TRIES)


def test_pausing_returns_whether_there_is_one() -> None:
    made = build(change=[1, 0])
    assert [asyncio.run(made.schedules.pause("hourly")) for _ in range(2)] == [True, False]
    made.change.assert_called_with(args=["pause", "hourly"])


def test_a_run_by_hand_stores_a_job_of_its_schedule_now() -> None:
    made = build(read=[pack(), pack()], run=[0, b"queued"])
    job, status = asyncio.run(made.schedules.run("hourly"))
    assert (status, job.type, job.payload, job.created_at) == ("queued", TALLY, {"number": 7}, NOW)
    assert (job.batch, job.tags, job.after) == (HOURLY.batch, ("schedule:hourly",), ())
    call = made.run.call_args.kwargs
    request = json.loads(call["args"][0])
    assert json.loads(request.pop("run")) == {"at": TEXT, "job": job.id}
    assert request == {"name": "hourly", "token": "t", "job": job.id, "kept": RUNS_KEPT, "skip": False}
    assert call["keys"][-1] == keys.JOB + job.id


def test_one_that_skips_is_not_run_while_its_last_job_has_not_ended() -> None:
    with pytest.raises(StillBusyError, match="job j of it has not ended, its status is started") as raised:
        asyncio.run(build(read=[pack()], run=[[0, b"j", b"started"]]).schedules.run("hourly"))
    assert (raised.value.job_id, raised.value.status) == ("j", "started")


def test_one_whose_job_type_is_gone_is_not_run() -> None:
    gone = json.dumps({"type": "gone", "every_seconds": 60})
    with pytest.raises(TypeGoneError, match="gone"):
        asyncio.run(build(read=[pack(definition=gone)]).schedules.run("hourly"))


def test_a_schedule_is_stored_in_one_order_whatever_its_payloads() -> None:
    described = Schedule("n", "tally", {"b": 1, "a": 2}, every_seconds=60).describe(SECONDS)
    assert described["payload"] == '{"a": 2, "b": 1}'
    assert list(json.loads(described["definition"])) == sorted(json.loads(described["definition"]))
    assert read_schedule("n", described["definition"], described["payload"]).payload == {"b": 1, "a": 2}


def test_an_occurrences_job_has_the_occurrences_id_and_waits_for_the_end_of_the_one_before() -> None:
    plain, after = HOURLY.build_job(TALLY, 3600), HOURLY.build_job(TALLY, 3600, "before")
    assert plain.id == after.id == HOURLY.derive_id(3600)
    assert HOURLY.build_job(TALLY).id != plain.id
    assert (plain.after, plain.on_failure, after.after, after.on_failure) == ((), "cancel", ("before",), "run")


def test_a_run_is_noted_with_what_it_has() -> None:
    assert json.loads(note_run(SECONDS, "skipped", 0, None, "why")) == {
        "slot": 0,
        "at": TEXT,
        "status": "skipped",
        "detail": "why",
    }
    assert json.loads(note_run(SECONDS, "skipped", None, "j")) == {"at": TEXT, "job": "j"}


def test_one_that_skips_says_so_when_it_is_run_by_hand() -> None:
    builder = CallBuilder(LifetimeSettings(), TYPES)
    for overlap, skips in (("skip", True), ("queue", False)):
        one = Schedule("n", "tally", {"number": 7}, every_seconds=60, overlap=overlap)  # type: ignore[arg-type]
        args = build_run(builder, one, "t", one.build_job(TALLY), "{}")[1]
        assert json.loads(str(args[0]))["skip"] is skips


def test_occurrences_are_described_for_the_script_with_their_jobs() -> None:
    builder = CallBuilder(LifetimeSettings(), TYPES)
    job = HOURLY.build_job(TALLY, 3600, "before")
    without, last = (
        ServedOccurrence(HOURLY, "t", 0, 3600, ["r"], None),
        ServedOccurrence(HOURLY, "t", 3600, None, [], job),
    )
    first = {"name": "hourly", "token": "t", "occurrence": 0, "next": "3600", "runs": ["r"], "kept": RUNS_KEPT}
    assert build_occurrences(builder, [without])[0] == []
    found, args = build_occurrences(builder, [without, last])
    second = first | {"occurrence": 3600, "next": "+inf", "runs": [], "job": job.id, "after": "before"}
    assert json.loads(str(args[0])) == [first, second]
    assert found[-1] == keys.JOB + job.id
    assert "after" not in ServedOccurrence(HOURLY, "t", 0, 1, [], HOURLY.build_job(TALLY, 0)).describe()


def test_a_job_that_has_not_ended_is_busy() -> None:
    words = ("", "queued", "started", *keys.ENDED)
    assert [is_busy(word) for word in words] == [False, True, True, *[False] * len(keys.ENDED)]


def test_a_job_file_without_a_cron_carries_no_schedule() -> None:
    assert schedule_file(TALLY) is None
