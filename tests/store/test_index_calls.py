"""What the script that finds jobs is asked, and what its answers say."""

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from errand.store import index
from errand.store.index import Count, Filter, ForeignCursorError, JobIndex, close_at

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ERROR = '{"type": "ValueError", "message": "no such thing"}'


def describe(error: str | None = None) -> bytes:
    """A job as the script describes it."""
    found = {"status": "failed"} | ({"errand_error": error} if error else {})
    return json.dumps([found, None, None, []]).encode()


def answering(*answers: list[bytes]) -> Any:
    """A script that gives these answers, one a call, and an index over it."""
    script = AsyncMock(side_effect=answers)
    return script, JobIndex(Mock(register_script=Mock(return_value=script)), ["b", "a", "b"])


def read_requests(script: AsyncMock) -> list[dict[str, Any]]:
    return [json.loads(call.kwargs["args"][0]) for call in script.call_args_list]


PLAIN = {
    "forward": False,
    "limit": 7,
    "queues": ["a", "b"],
    "budget": index.BUDGET,
    "small": index.SMALL,
    "bytes": index.PAGE_BYTES,
    "source": "created",
}


def test_a_page_is_asked_for_from_a_place_and_has_the_next() -> None:
    script, jobs = answering([b"1", b"b", b"1", b"a", describe(), b"1", b"b", b"[{}, null, null, []]"], [b"", b""])
    page = asyncio.run(jobs.read(Filter(), 7, ("0", "x")))
    assert ([job.id for job in page.jobs], page.next) == (["a"], ("1", "b"))
    page = asyncio.run(jobs.read(Filter(type="log"), 7))
    assert page == index.Page([], None)
    assert read_requests(script) == [PLAIN | {"place": ["0", "x"]}, PLAIN | {"type": "log"}]


def test_ids_are_asked_for_alone_and_with_a_requeues_token() -> None:
    script, jobs = answering(*[[b"1", b"b", b"1", b"a", b"", b"1", b"b", b""]] * 2)
    assert asyncio.run(jobs.select(Filter(), 7, None)) == (["a", "b"], ("1", "b"))
    asyncio.run(jobs.select(Filter(), 7, None, "t", forward=False))
    ids = PLAIN | {"ids_only": True}
    assert read_requests(script) == [ids | {"forward": True}, ids | {"token": "t"}]


@pytest.mark.parametrize(
    ("error", "ids"),
    [(None, ["a", "b"]), ("ValueError", ["a"]), ("such", ["a"]), ("Value", []), ("", ["a"]), ("other", [])],
)
def test_an_error_is_one_of_its_type_or_with_that_in_its_message(error: str | None, ids: list[str]) -> None:
    found = [b"", b"", b"1", b"a", describe(ERROR), b"1", b"b", describe(), b"1", b"c", b"[{}, null, null, []]"]
    _, jobs = answering(found, found)
    wanted = Filter("failed", error=error)
    assert asyncio.run(jobs.select(wanted, 7, None)) == (ids, None)
    assert [job.id for job in asyncio.run(jobs.read(wanted, 7)).jobs] == ids


def test_jobs_are_counted_call_by_call_until_there_are_no_more() -> None:
    script, jobs = answering(
        [b"1", b"x", b'{"failed": 2}'], [b"", b"", b'{"failed": 1, "queued": 4}'], [b"", b"", b"{}"]
    )
    counted = asyncio.run(jobs.count(Filter(), calls=5, place=("0", "w"), forward=True))
    assert (counted, counted.total) == (Count({"failed": 3, "queued": 4}, True), 7)
    asked = PLAIN | {"limit": index.SMALL, "forward": True, "counts_only": True}
    assert read_requests(script) == [asked | {"place": ["0", "w"]}, asked | {"place": ["1", "x"]}]


def test_one_call_counts_by_itself_the_newest() -> None:
    script, jobs = answering([b"1", b"x", b'{"failed": 2}'])
    assert asyncio.run(jobs.count(Filter())) == Count({"failed": 2}, False)
    assert read_requests(script)[0]["forward"] is False


def test_a_filter_is_described_with_what_it_has() -> None:
    zone = timezone(timedelta(hours=1))
    moment = datetime(2030, 1, 1, 1, 0, 0, 5, tzinfo=zone)
    wanted = Filter("failed", type="log", created_after=moment, created_before=moment, ended_before=moment)
    us = str(1893456000 * 1_000_000 + 5)
    text = "2030-01-01T00:00:00.000005Z"
    assert wanted.describe() == {
        "source": "failed",
        "type": "log",
        "created_after": us,
        "created_before": us,
        "ended_before": text,
    }
    first = Filter(ended_after=datetime(1, 1, 1, tzinfo=UTC)).describe()
    assert first["ended_after"] == "0001-01-01T00:00:00.000000Z"


def test_a_filter_that_is_closed_ends_at_the_first_of_both_moments() -> None:
    before, after = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)
    assert [close_at(Filter(ended_before=moment), NOW).ended_before for moment in (None, before, after)] == [
        NOW,
        before,
        NOW,
    ]


@pytest.mark.parametrize("score", ["1", "-1.5", "1.5e17", "inf", "-inf"])
@pytest.mark.parametrize("id", ["a", "aaW", "a:b", "a\nb", "é"])
def test_a_cursor_is_read_as_it_was_written(score: str, id: str) -> None:
    cursor = Filter().write_cursor((score, id))
    assert Filter().read_cursor(cursor) == (score, id)
    assert "=" not in cursor


def test_a_cursor_says_why_it_is_refused() -> None:
    with pytest.raises(ForeignCursorError, match="it is no cursor of this list"):
        Filter().read_cursor("é")
    with pytest.raises(ForeignCursorError, match="it belongs to other filters"):
        Filter(type="log").read_cursor(Filter().write_cursor(("1", "a")))
