"""What is asked of the scripts that read batches and do one thing to dead letters, and what their answers say."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from errand.redis import keys
from errand.store import batch, batch_jobs
from errand.store.batch import BatchReader, BatchStatus, filter_batches
from errand.store.batch_jobs import BatchJobReader, filter_batch
from errand.store.dead_letters import SHOWN, TRIED_AGAIN, Action, DeadLetters, DeadLetterStep
from errand.store.index import PAGE_BYTES, Filter, ForeignCursorError
from errand.store.new_job import derive_ids
from errand.store.requeue import PAGE
from errand.store.settings import LifetimeSettings

ID = "5f0c7d1e-0000-4000-8000-000000000000"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def answering(*answers: Any) -> Mock:
    """A client whose scripts give these answers, one a call."""
    return Mock(register_script=Mock(return_value=AsyncMock(side_effect=answers)))


def read_call(redis: Mock) -> Any:
    return redis.register_script.return_value.call_args.kwargs


def test_a_batch_is_read_with_its_counts() -> None:
    redis = answering([b"log", b"c", b"queued", 2, b"finished", 3, b"deleted", 1], None)
    reader = BatchReader(redis, LifetimeSettings())
    found = asyncio.run(reader.read(ID))
    assert found == BatchStatus(ID, "log", "c", {"queued": 2, "finished": 3, "deleted": 1})
    assert (found.total, found.ended, found.has_ended) == (6, 4, False)
    assert read_call(redis) == {"keys": [keys.BATCH + ID], "args": [LifetimeSettings().failure_ttl_seconds]}
    assert asyncio.run(reader.read(ID)) is None
    assert BatchStatus(ID, "log", "c", dict.fromkeys((*keys.ENDED, "deleted"), 1)).has_ended


def test_batches_are_listed_from_a_place_to_the_next() -> None:
    redis = answering([b"2", b"b", [b"a", b"log", b"c", b"queued", 1]], [b"", b""])
    reader = BatchReader(redis, LifetimeSettings())
    found = asyncio.run(reader.list(filter_batches("log"), 7, ("1", "x")))
    assert (found.batches, found.next) == ([BatchStatus("a", "log", "c", {"queued": 1})], ("2", "b"))
    plain = {"limit": 7, "budget": batch.LOOKED_AT, "jobs": batch.JOBS_COUNTED}
    assert json.loads(read_call(redis)["args"][0]) == plain | {"type": "log", "place": ["1", "x"]}
    found = asyncio.run(reader.list(filter_batches(None), 7))
    assert (found.batches, found.next) == ([], None)
    assert json.loads(read_call(redis)["args"][0]) == plain


def test_cursors_stay_those_of_the_version_before() -> None:
    assert filter_batches("log") == Filter("batches", type="log")
    assert filter_batch(ID, "failed") == Filter("batch", batch=ID, status="failed")
    assert Filter().write_cursor(("1", "a")) == "OTgyNWZkNDU2ODdlOjE6YQ"


def test_a_cursor_of_batches_belongs_to_no_other_list() -> None:
    cursor = filter_batches(None).write_cursor(("1", ID))
    for other in (Filter(), filter_batches("log"), filter_batch(ID, None)):
        with pytest.raises(ForeignCursorError):
            other.read_cursor(cursor)
    cursor = filter_batch(ID, None).write_cursor(("1", ID))
    for other in (Filter(batch=ID), filter_batch(ID, "failed")):
        with pytest.raises(ForeignCursorError):
            other.read_cursor(cursor)


def test_a_page_of_a_batchs_jobs_asks_for_those_of_the_page_and_the_next_one() -> None:
    status = b'[{"status": "queued"}, null, null, []]'
    redis = answering([b"log", b"5", b"last", b"a", b"queued", status, b"b", b"deleted", b""], [b"log", b"", b""], None)
    reader = BatchJobReader(redis)
    page = asyncio.run(reader.read(filter_batch(ID, None), 2, ("3", "before")))
    assert page is not None
    assert (page.type, page.next) == ("log", ("5", "last"))
    assert [(one.id, one.status, one.job and one.job.id) for one in page.jobs] == [
        ("a", "queued", "a"),
        ("b", "deleted", None),
    ]
    request, *ids = read_call(redis)["args"]
    assert json.loads(request) == {"limit": 2, "bytes": PAGE_BYTES, "first": 3, "after": "before"}
    assert ids == derive_ids(ID, 3, 3)
    assert read_call(redis)["keys"] == [keys.BATCH + ID]
    page = asyncio.run(reader.read(filter_batch(ID, None), 2))
    assert page == batch_jobs.PageOfBatchJobs("log", [], None)
    request, *ids = read_call(redis)["args"]
    assert json.loads(request) == {"limit": 2, "bytes": PAGE_BYTES, "first": 0, "after": ""}
    assert ids == derive_ids(ID, 3)
    assert asyncio.run(reader.read(filter_batch(ID, None), 2)) is None


def test_with_a_status_all_of_a_batchs_jobs_that_are_left_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "BATCH_LIMIT", 10)
    redis = answering([b"log", b"", b""])
    asyncio.run(BatchJobReader(redis).read(filter_batch(ID, "failed"), 2, ("4", "x")))
    request, *ids = read_call(redis)["args"]
    assert json.loads(request)["status"] == "failed"
    assert ids == derive_ids(ID, 7, 4)


@pytest.mark.parametrize(("number", "is_one"), [("x", False), ("-1", False), ("11", False), ("10", True), ("0", True)])
def test_a_place_is_a_number_of_a_batchs_job(monkeypatch: pytest.MonkeyPatch, number: str, is_one: bool) -> None:
    monkeypatch.setattr(keys, "BATCH_LIMIT", 10)
    reading = BatchJobReader(answering([b"log", b"", b""])).read(filter_batch(ID, None), 2, (number, "x"))
    if is_one:
        assert asyncio.run(reading)
    else:
        with pytest.raises(ForeignCursorError):
            asyncio.run(reading)


def build_letters(*pages: tuple[list[str], Any]) -> Any:
    """Dead letters over an index that finds these pages; `x` is gone and `y` is refused."""
    outcomes = {"x": None, "y": b"no"}
    index, requeuer, deleter, failures = (AsyncMock() for _ in range(4))
    index.select.side_effect = pages
    for done in (requeuer.requeue_all, deleter.delete_all):
        done.side_effect = lambda ids, *_: [outcomes.get(id, b"") for id in ids]
    failures.list_retrying.return_value = ["r"]
    letters: Any = DeadLetters(index, requeuer, deleter, Mock(moment=lambda: NOW), failures)
    return letters


def apply(letters: Any, action: Action, wanted: Filter) -> list[DeadLetterStep]:
    async def collect() -> list[DeadLetterStep]:
        return [step async for step in letters.apply(action, wanted)]

    return asyncio.run(collect())


def test_dead_letters_are_taken_page_by_page_and_what_is_left_has_its_reason() -> None:
    pages: Any = (["a", "x", "y"], ("1", "y")), ([], ("2", "z")), (["b"], None)
    done = [DeadLetterStep(["a"], [("y", "no")]), DeadLetterStep(["b"], [])]
    for action in ("requeue", "delete"):
        letters = build_letters(*pages)
        assert apply(letters, action, Filter("failed")) == done
        calls = letters._index.select.call_args_list
        closed = Filter("failed", ended_before=NOW)
        assert [call.args[:3] for call in calls] == [(closed, PAGE, place) for place in (None, ("1", "y"), ("2", "z"))]
        tokens = {call.args[3] for call in calls}
        if action == "requeue":
            tokens |= {call.args[1] for call in letters._requeuer.requeue_all.call_args_list}
            assert not letters._deleter.delete_all.called
        else:
            letters._deleter.delete_all.assert_called_with(["b"], ["failed"])
            assert not letters._requeuer.requeue_all.called
        assert len(tokens) == 1
        assert not letters._failures.list_retrying.called


def test_dead_letters_that_are_counted_are_left_alone() -> None:
    letters = build_letters((["a", "x"], None))
    assert apply(letters, "count", Filter("failed")) == [DeadLetterStep(["a", "x"], [])]
    assert not letters._requeuer.requeue_all.called
    assert not letters._deleter.delete_all.called


def test_jobs_of_a_group_that_are_tried_again_are_shown_last() -> None:
    letters = build_letters((["a"], None))
    wanted = Filter("failed", fingerprint="f", queue="mail", type="email")
    assert apply(letters, "requeue", wanted) == [DeadLetterStep(["a"], []), DeadLetterStep([], [("r", TRIED_AGAIN)])]
    letters._failures.list_retrying.assert_called_once_with("f", "mail", "email", SHOWN)
