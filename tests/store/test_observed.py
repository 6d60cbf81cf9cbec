"""What the scripts' answers say of lines, failures, health and figures."""

import asyncio
import json
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from redis import RedisError

from errand.redis import keys
from errand.redis.clock import Clock
from errand.store.held_types import HeldType
from errand.store.observe import failures
from errand.store.observe.counts import Counts
from errand.store.observe.failures import FailureGroup, FailureReader, Failures
from errand.store.observe.health import Health, HealthReader, Oldest
from errand.store.observe.logs import NO_TIME, LogLine, LogPage, LogReader
from errand.store.observe.metrics import MetricsReader
from errand.store.observe.stats import StatsReader
from tests.support.job_types import LOG, TALLY

NOW = 1893456000
TIME = [str(NOW).encode(), b"7"]


def line(number: int, **changed: Any) -> bytes:
    line = {"n": number, "t": NOW + 0.5, "level": "info", "attempt": 2, "logger": "l", "text": f"t{number}"}
    return json.dumps(line | changed).encode()


def shown(number: int) -> LogLine:
    return LogLine(number, "2030-01-01T00:00:00.500Z", "info", 2, "l", f"t{number}")


def large(number: int, time: str = NO_TIME, attempt: int = 0, size: str = "2,000") -> LogLine:
    text = f"(a line of {size} bytes, which is too large to be shown)"
    return LogLine(number, time, "warning", attempt, "errand", text)


def read_lines(is_there: int, last: int, stored: list[bytes | int], after: int = 0) -> LogPage | None:
    reader = LogReader(Mock())
    reader._script = Mock(call=AsyncMock(return_value=[is_there, last, stored]))
    found = asyncio.run(reader.read("a", after))
    reader._script.call.assert_called_once_with([keys.JOB + "a", keys.LOGS + "a"], [after])
    return found


@pytest.mark.parametrize(
    ("is_there", "last", "stored", "after", "items", "dropped"),
    [
        (1, 0, [], 0, [], 0),
        (0, 1, [line(1)], 0, [shown(1)], 0),
        (1, 3, [line(2), line(3)], 0, [shown(2), shown(3)], 1),
        (1, 5, [line(2), line(3)], 1, [shown(2), shown(3)], 2),
        (1, 3, [line(2), line(3)], 2, [shown(3)], 0),
        (1, 3, [], 3, [], 0),
        (1, 9, [], 3, [], 6),
        (1, 2, [], 3, [], 0),
        (1, 0, [line(4)], 0, [shown(4)], 3),
        (1, 4, [b"{", line(4), b"7", b'{"n": 1}', line(5, t=1e300)], 3, [shown(4)], 0),
        (1, 3, [line(1), 2000, line(3)], 0, [shown(1), large(2, shown(1).time, 2), shown(3)], 0),
        (1, 2, [2000, line(2)], 0, [large(1), shown(2)], 0),
        (1, 2, [2000, 3000], 0, [large(1), large(2, size="3,000")], 0),
        (1, 4, [2000], 0, [large(4)], 0),
        (1, 0, [2000], 0, [], 0),
        (1, 3, [2000], 4, [large(5)], 0),
    ],
)
def test_lines_come_after_a_number_with_how_many_are_gone(
    is_there: int, last: int, stored: list[bytes | int], after: int, items: list[LogLine], dropped: int
) -> None:
    assert read_lines(is_there, last, stored, after) == LogPage(items, dropped)


def test_a_job_that_is_gone_has_lines_as_long_as_they_are_kept() -> None:
    assert read_lines(0, 0, []) is None
    assert read_lines(0, 1, [line(1, text="\ud800", level=7)]) is not None


def describe(fingerprint: str, failed: int, retrying: int = 0, first: str = "f", last: str = "l") -> dict[str, Any]:
    group = {"fingerprint": fingerprint, "type": "t", "error": "E", "message": f"m{last}", "frame": "fr"}
    return group | {"failed": failed, "retrying": retrying, "first": first, "last": last, "example": "x"}


def show(fingerprint: str, failed: int, retrying: int = 0, first: str = "f", last: str = "l") -> FailureGroup:
    return FailureGroup(fingerprint, "t", "E", f"m{last}", "fr", failed, retrying, first, last, "x")


def build_failures(sizes: list[Any], *answers: Any, queues: Any = (), retrying: Any = ()) -> Any:
    """A reader over sorted sets of these sizes, whose script gives these answers, and the script."""
    script = AsyncMock(side_effect=[json.dumps(answer).encode() for answer in answers])
    listing = Mock(execute=AsyncMock(return_value=[queues, retrying]))
    counting = Mock(execute=AsyncMock(return_value=sizes))
    pipelines = [listing, counting] * 3 if queues else [counting] * 3
    redis = Mock(register_script=Mock(return_value=script), pipeline=Mock(side_effect=pipelines))
    return FailureReader(redis), script, counting


def read_requests(script: AsyncMock) -> list[dict[str, Any]]:
    return [json.loads(call.kwargs["args"][0]) for call in script.call_args_list]


def test_failures_of_all_queues_are_counted_those_of_the_most_jobs_first() -> None:
    reader, script, counting = build_failures(
        [3, 0, 2, RedisError()],
        [[describe("a", 1), describe("c", 1), describe("b", 2, 1)], []],
        queues=[b"rq:queue:mail"],
        retrying=[keys.RETRYING_JOBS.encode() + b"log"],
    )
    found = asyncio.run(reader.read())
    assert found == Failures([show("b", 2, 1), show("a", 1), show("c", 1)], 5, 5)
    assert [call.args[0] for call in counting.zcard.call_args_list] == [
        kind + name for name in ("log", "mail") for kind in (keys.FAILED, keys.RETRYING_JOBS)
    ]
    (request,) = read_requests(script)
    assert request == {
        "ranges": [[keys.FAILED + "mail", False, 0, 1], [keys.FAILED + "log", False, 0, 2]],
        "most": 0,
    }


def test_a_group_that_several_pages_have_is_shown_once_with_its_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "PAGE", 2)
    pages = (
        [[describe("a", 1, 1, "2", "5")], []],
        [[describe("a", 2, 1, "1", "4")], []],
        [[describe("a", 1, 0, "", "6")], []],
    )
    reader, script, _ = build_failures([5, 0], *pages)
    found = asyncio.run(reader.read("mail", "t"))
    assert found.groups == [show("a", 4, 2, "1", "6")]
    name = keys.FAILED + "mail"
    assert [(request["ranges"], request["type"]) for request in read_requests(script)] == [
        ([[name, False, low, high]], "t") for low, high in ((3, 4), (1, 2), (0, 0))
    ]


def test_failures_without_times_have_none() -> None:
    reader, *_ = build_failures([1, 0], [[describe("a", 1, 0, "", ""), describe("a", 1, 0, "", "")], []])
    assert asyncio.run(reader.read("mail")).groups == [show("a", 2, 0, "", "")]


@pytest.mark.parametrize(
    ("sizes", "most", "ranges", "scanned"),
    [
        ([5, 3], 6, [("r", 0, 2), ("f", 2, 4)], 6),
        ([5, 1], 6, [("r", 0, 0), ("f", 0, 4)], 6),
        ([9, 9], 6, [("f", 6, 8), ("r", 6, 8)], 6),
        ([5, 3], 1, [("f", 4, 4)], 1),
        ([5, 0], 2, [("f", 3, 4)], 2),
        ([5, 3], 0, [], 0),
    ],
)
def test_each_set_has_an_equal_share_of_what_is_looked_at(
    sizes: list[int], most: int, ranges: list[Any], scanned: int
) -> None:
    reader, script, _ = build_failures(sizes, [[], []])
    found = asyncio.run(reader.read("mail", most=most))
    assert (found.scanned, found.total) == (scanned, sum(sizes))
    names = {"f": (keys.FAILED + "mail", False), "r": (keys.RETRYING_JOBS + "mail", True)}
    asked = [part for request in read_requests(script) for part in request["ranges"]]
    assert sorted(asked) == sorted([*names[name], low, high] for name, low, high in ranges)


def test_pages_are_filled_over_the_ends_of_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "PAGE", 4)
    reader, script, _ = build_failures([5, 3], [[], []], [[], []])
    asyncio.run(reader.read("mail"))
    failed, retrying = keys.FAILED + "mail", keys.RETRYING_JOBS + "mail"
    assert [request["ranges"] for request in read_requests(script)] == [
        [[retrying, True, 0, 2], [failed, False, 4, 4]],
        [[failed, False, 0, 3]],
    ]


def test_failures_of_a_batch_are_all_looked_at() -> None:
    reader, script, _ = build_failures([], [[describe("a", 1, 1), describe("b", 3)], []])
    assert asyncio.run(reader.read_batch("b")) == Failures([show("b", 3), show("a", 1, 1)], 5, 5)
    assert read_requests(script) == [{"ranges": [], "most": 0, "batch": "b"}]


def test_jobs_that_are_tried_again_are_listed_until_there_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "PAGE", 2)
    reader, script, counting = build_failures([9], [[], ["a"]], [[], ["b", "c"]])
    assert asyncio.run(reader.list_retrying("f", "mail", None, 3)) == ["a", "b", "c"]
    asked = read_requests(script)
    assert [(one["most"], one["fingerprint"]) for one in asked] == [(3, "f"), (2, "f")]
    assert asked[0]["ranges"] == [[keys.RETRYING_JOBS + "mail", True, 7, 8]]
    counting.zcard.assert_called_once_with(keys.RETRYING_JOBS + "mail")


def read_health(**said: Any) -> tuple[Health, Any, Any]:
    found = {"clock": [str(NOW), "7"], "live": 0, "queues": [], "types": [], "held": [], "next_occurrence": None} | said
    script, look = AsyncMock(return_value=json.dumps(found).encode()), AsyncMock(return_value=[])
    clock = Mock(wraps=Clock())
    redis = Mock(register_script=Mock(side_effect=[script, look]))
    health = asyncio.run(HealthReader(redis, {"log": LOG, "tally": TALLY}, clock).read())
    assert [int(part) for part in clock.note_time.call_args.args[0]] == [NOW, 7]
    return health, script, look


def test_health_is_empty_where_nothing_is_said() -> None:
    found, script, look = read_health(queues={}, types={}, held={})
    assert found == Health(0, [], [], [], [], None, 0.0, [])
    assert script.call_args.kwargs["args"][1:] == ["log", "log", "tally", TALLY.queue.name]
    look.assert_called_once_with(args=sorted({"log", TALLY.queue.name}))


def test_queues_and_types_without_a_worker_are_stuck_where_jobs_wait() -> None:
    queues = [
        [name, {"served": served, "waiting": waiting, "oldest_at": oldest}]
        for name, served, waiting, oldest in (
            ("q4", False, 1, "3"),
            ("q3", True, 1, "1"),
            ("q2", False, 0, ""),
            ("q1", True, 0, "2"),
        )
    ]
    types = [
        [name, {"able": able, "parked": parked}]
        for name, able, parked in (("t4", False, 1), ("t3", True, 1), ("t2", False, 0), ("t1", True, 0))
    ]
    held = [["b", "s", "r"], ["a", "s", "r"]]
    found, *_ = read_health(live=2, queues=queues, types=types, held=held)
    assert (found.workers, found.queues_without, found.types_without) == (2, ["q2", "q4"], ["t2", "t4"])
    assert found.stuck == ["q4", "t4"]
    assert found.held == [HeldType("a", "s", "r"), HeldType("b", "s", "r")]
    assert found.oldest == Oldest("q3", "1")


@pytest.mark.parametrize(("next_occurrence", "late"), [(None, 0.0), (str(NOW - 5), 5.0), (str(NOW + 5), 0.0)])
def test_the_first_schedules_next_occurrence_shows_how_late_it_is(next_occurrence: str | None, late: float) -> None:
    assert read_health(next_occurrence=next_occurrence)[0].late_seconds == late


def build_figures(open_minutes: int = 0, limit: int = 0) -> list[Any]:
    totals = json.dumps({"t": [[1], [], []]}).encode()
    workers = [[b"busy", 2], [b"idle\xff", 1]]
    parked = [[b"t", b"rate", 1], [b"t", b"rate", 2], [b"u", b"turn", 4]]
    return [TIME, open_minutes, totals, workers, 3, [[b"q", 5]], parked, [b"t", b"u", b"t"], b"1.5", 50, limit]


@pytest.mark.parametrize("is_of_figures", [True, False])
@pytest.mark.parametrize(
    ("minutes", "rollup", "asked"), [(1, None, 1), (2, None, 2), (2, RedisError(), 1), (0, None, 1)]
)
def test_what_lies_behind_is_rolled_up_and_asked_for_again(
    minutes: int, rollup: Any, asked: int, is_of_figures: bool
) -> None:
    script = AsyncMock(return_value=build_figures(minutes) if is_of_figures else [TIME, minutes, [None], []])
    redis, clock = Mock(register_script=Mock(return_value=script)), Mock()
    rolling_up: Any = Mock(run=AsyncMock(side_effect=rollup))
    if is_of_figures:
        asyncio.run(MetricsReader(redis, clock, rolling_up).read(AsyncMock()))
    else:
        asyncio.run(StatsReader(redis, clock, rolling_up).read(60, NOW, 1))
    assert (script.call_count, rolling_up.run.call_count) == (asked, int(minutes > 1))
    assert [int(part) for part in clock.note_time.call_args.args[0]] == [NOW, 7]


def test_spans_are_asked_for_with_their_step() -> None:
    script = AsyncMock(return_value=[TIME, 0, [None, b"x"], [[b"12", b"y"]]])
    reader = StatsReader(Mock(register_script=Mock(return_value=script)), Mock(), Mock())
    spans = asyncio.run(reader.read(300, NOW, 2))
    assert (spans.step_seconds, spans.start, spans.stored, spans.open) == (300, NOW, [None, b"x"], [(12, b"y")])
    script.assert_called_once_with(args=[300, NOW, 2])


@pytest.mark.parametrize(("limit", "ratio"), [(0, None), (200, 0.25)])
def test_each_figure_is_shown(limit: int, ratio: float | None) -> None:
    redis = Mock(register_script=Mock(return_value=AsyncMock(return_value=build_figures(limit=limit))))
    queues: Any = Mock(read_all=AsyncMock(return_value=["queue"]))
    found = asyncio.run(MetricsReader(redis, Mock(), Mock()).read(queues))
    expected: Any = (NOW + 7e-6, ["queue"], 3)
    assert (found.now, found.queues, found.threads_free) == expected
    assert found.counts["t"].ends == {"finished": 1}
    assert isinstance(found.counts["t"], Counts)
    assert (found.workers, found.retrying) == ({"busy": 2, "idle\ufffd": 1}, {"q": 5})
    assert (found.parked, found.held) == ({("t", "rate"): 3, ("u", "turn"): 4}, {"t": 2, "u": 1})
    assert (found.schedule_late_seconds, found.memory_ratio) == (1.5, ratio)
