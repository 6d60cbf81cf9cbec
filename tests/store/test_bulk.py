"""Finding and counting the jobs to which something is to be done."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from redis import Redis

from errand.redis import keys
from errand.store import index
from errand.store.bulk import bulk
from errand.store.bulk.bulk import Verb, narrow
from errand.store.index import Count, Filter, JobIndex
from tests.store import test_index
from tests.store.test_index import START, Use, World

use = test_index.use
BOUNDED = Filter(created_after=START + timedelta(microseconds=3), created_before=START + timedelta(microseconds=9))
FILTERS = [Filter(), BOUNDED, Filter(type="a"), Filter(status="failed"), Filter(tag="red", queue="low")]


@pytest.fixture
def world(redis: Redis) -> World:
    world = World(redis)
    for us in range(12):
        id = world.store("abc"[us % 3], "red" if us % 2 else "", us=us // 2 * 2)
        if us % 4:
            world.end(id, ("finished", "failed", "failed")[us % 4 - 1])
    return world


@pytest.fixture(params=[(2000, 1000), (2000, 0), (3, 0)])
def _cost(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read at once: all, some, and from RQ's own lists or the indexes."""
    for name, value in zip(("BUDGET", "SMALL"), request.param, strict=True):
        monkeypatch.setattr(index, name, value)


@pytest.mark.usefixtures("_cost")
@pytest.mark.parametrize("wanted", FILTERS)
@pytest.mark.parametrize("forward", [True, False])
def test_a_walk_meets_each_job_that_is_wanted_once_in_order(
    world: World,
    use: Use,
    wanted: Filter,
    forward: bool,
) -> None:
    async def walk(jobs: JobIndex) -> list[str]:
        seen, place = await jobs.select(wanted, 2, None, forward=forward)
        while place:
            ids, place = await jobs.select(wanted, 2, place, forward=forward)
            seen += ids
        return seen

    meant = world.find(wanted)
    assert meant
    assert use(walk) == (meant[::-1] if forward else meant)


@pytest.mark.usefixtures("_cost")
@pytest.mark.parametrize("wanted", FILTERS)
def test_a_count_of_all_is_one_by_status(world: World, use: Use, wanted: Filter) -> None:
    count: Count = use(lambda jobs: jobs.count(wanted, calls=10))
    assert count == Count(dict(Counter(world.jobs[id]["status"] for id in world.find(wanted))), True)


def test_a_count_says_that_it_is_none_of_all(world: World, use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "BUDGET", 5)
    count: Count = use(lambda jobs: jobs.count(Filter(), calls=2))
    assert (count.total, count.is_whole) == (10, False)


@pytest.mark.usefixtures("_cost")
def test_a_filter_is_narrowed_to_what_it_can_be_done_to(world: World, use: Use) -> None:
    def count(wanted: Filter) -> dict[str, int]:
        found: Count = use(lambda jobs: jobs.count(wanted, calls=10))
        return found.by_status

    every = Counter(job["status"] for job in world.jobs.values())
    assert count(narrow(Filter(), "requeue")) == {"failed": every["failed"]}
    assert count(narrow(Filter(), "cancel")) == {"queued": every["queued"]}
    assert count(narrow(Filter(status="finished"), "requeue")) == {}
    world.redis.hset(keys.JOB + world.find(Filter(status="queued"))[0], "status", "started")
    assert count(narrow(Filter(), "delete")) == {**every, "queued": every["queued"] - 1}


def test_jobs_that_are_named_are_taken_some_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "SLICE", 2)
    deleter = AsyncMock()
    deleter.delete_all.side_effect = [[b"", None], [b"", b"it runs"], [b""]]
    jobs = bulk.BulkJobs(Mock(), Mock(), Mock(), deleter)
    assert asyncio.run(jobs.apply("delete", list("abcde"))) == bulk.BulkStep(3, 2)
    assert [list(call.args[0]) for call in deleter.delete_all.call_args_list] == [["a", "b"], ["c", "d"], ["e"]]


def build_many(found: Count | None = None, pages: list[tuple[list[str], Any]] | None = None) -> Any:
    """Many jobs over an index that finds this; each of them is done with."""
    index, requeuer, canceller, deleter = (AsyncMock() for _ in range(4))
    index.count.return_value = found
    index.select.side_effect = pages
    for done in (requeuer.requeue_all, canceller.cancel_all, deleter.delete_all):
        done.side_effect = lambda ids, *_: [b"" if id != "x" else None for id in ids]
    return bulk.BulkJobs(index, requeuer, canceller, deleter)


@pytest.mark.parametrize(("verb", "place"), [("requeue", 0), ("cancel", 1), ("delete", 2)])
def test_each_verb_is_done_by_its_own_scripts(verb: Verb, place: int) -> None:
    jobs = build_many()
    assert asyncio.run(jobs.apply(verb, ["a", "x"])) == bulk.BulkStep(1, 1)
    doers = jobs._requeuer.requeue_all, jobs._canceller.cancel_all, jobs._deleter.delete_all
    assert [doer.call_count for doer in doers] == [int(number == place) for number in range(3)]


@pytest.mark.parametrize(("verb", "forward"), [("requeue", True), ("cancel", False), ("delete", False)])
def test_all_that_a_filter_finds_is_gone_through_in_the_order_that_spares_dependents(verb: Verb, forward: bool) -> None:
    jobs = build_many(pages=[(["a", "x"], ("1", "x")), (["b"], ("2", "b")), (["c"], None)])
    assert asyncio.run(jobs.go_on(verb, Filter(), ("0", ""), 60)) == bulk.BulkStep(3, 1)
    calls = jobs._index.select.call_args_list
    assert [(call.args[2], call.kwargs["forward"]) for call in calls] == [
        (place, forward) for place in (("0", ""), ("1", "x"), ("2", "b"))
    ]


def test_a_walk_stops_when_its_time_is_over_and_says_where() -> None:
    jobs = build_many(pages=[(["a"], ("1", "a")), (["b"], None)])
    assert asyncio.run(jobs.go_on("delete", Filter(), None, 0)) == bulk.BulkStep(1, 0, ("1", "a"))


@pytest.mark.parametrize(
    ("wanted", "is_whole", "calls"),
    [(Filter(), True, 1), (Filter(status="failed"), False, 1), (Filter(), False, 2)],
)
def test_what_it_can_be_done_to_is_counted_by_itself_where_not_all_was_looked_at(
    wanted: Filter, is_whole: bool, calls: int
) -> None:
    found = Count({"failed": 2, "finished": 3}, is_whole)
    jobs = build_many(found)
    counted = asyncio.run(jobs.count("requeue", wanted))
    assert counted == (found, found if calls == 2 else Count({"failed": 2}, is_whole))
    made = jobs._index.count.call_args_list
    assert len(made) == calls
    if calls == 2:
        assert made[1].args == (narrow(wanted, "requeue"), bulk.COUNT_CALLS, None, True)


def test_what_is_left_is_counted_from_where_it_has_stopped() -> None:
    jobs = build_many(Count({"queued": 1}, True))
    assert asyncio.run(jobs.count_left("cancel", Filter(), ("1", "a"))) == Count({"queued": 1}, True)
    (call,) = jobs._index.count.call_args_list
    assert call.args == (narrow(Filter(), "cancel"), bulk.COUNT_CALLS, ("1", "a"), False)
