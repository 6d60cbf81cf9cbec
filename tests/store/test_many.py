"""Finding and counting the jobs to which something is to be done."""

import asyncio
from collections import Counter
from datetime import timedelta
from unittest.mock import AsyncMock, Mock

import pytest
from redis import Redis

from errand.redis import keys
from errand.store import index
from errand.store.index import Count, Filter, JobIndex
from errand.store.many import many
from errand.store.many.many import narrow
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
    monkeypatch.setattr(many, "SLICE", 2)
    deleter = AsyncMock()
    deleter.delete_all.side_effect = [[b"", None], [b"", b"it runs"], [b""]]
    jobs = many.ManyJobs(Mock(), Mock(), Mock(), deleter)
    assert asyncio.run(jobs.apply("delete", list("abcde"))) == many.Step(3, 2)
    assert [list(call.args[0]) for call in deleter.delete_all.call_args_list] == [["a", "b"], ["c", "d"], ["e"]]
