"""Pages of jobs: in order, each job once, whatever happens between two of them."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from rq import Queue

from errand.store import index
from errand.store.enqueue import Enqueuer
from errand.store.index import Filter, ForeignCursorError, JobIndex, Page
from errand.store.new_job import NewJob
from errand.store.settings import QueueSettings
from errand.worker.maintenance.sweep import Sweep
from tests.support import job_types
from tests.support.connectors import connect

Use = Callable[[Callable[[JobIndex], Coroutine[Any, Any, Any]]], Any]
START = datetime(2026, 5, 1, tzinfo=UTC)
TYPES = {"a": "low", "b": "low", "c": "high"}
WORDS = ("queued", "finished", "failed")


@pytest.fixture
def use(queue_settings: QueueSettings) -> Use:
    """Call a JobIndex inside an event loop of its own."""

    def run(call: Callable[[JobIndex], Coroutine[Any, Any, Any]]) -> Any:
        async def main() -> Any:
            async with connect(queue_settings.redis_url) as redis:
                return await call(JobIndex(redis, TYPES.values()))

        return asyncio.run(main())

    return run


def count_us(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


@dataclass
class World:
    """Jobs in Redis, put there by hand, and what a naive reader knows of them."""

    redis: Redis
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def store(self, type: str = "a", tag: str = "", us: int = 0) -> str:
        """A queued job that was created so many microseconds after the start."""
        created, id = START + timedelta(microseconds=us), str(UUID(int=len(self.jobs) * 7919 % 1009 + 1))
        queue, index_name = TYPES[type], f"errand:index:{TYPES[type]}:{type}"
        text = created.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        fields: dict[Any, Any] = {"status": "queued", "origin": queue, "description": type, "created_at": text}
        pipe = self.redis.pipeline()
        pipe.hset(f"rq:job:{id}", mapping=fields)
        pipe.sadd("rq:queues", f"rq:queue:{queue}")
        pipe.rpush(f"rq:queue:{queue}", id)
        for name in (index_name, *([f"errand:tag:{tag}"] if tag else [])):
            pipe.zadd(name, {id: count_us(created)})
            pipe.zadd("errand:indexes", {name: 0})
        pipe.execute()
        self.jobs[id] = {"type": type, "queue": queue, "tag": tag, "us": us, "status": "queued", "is_there": True}
        return id

    def end(self, id: str, status: str) -> None:
        """Give it a status, and RQ's key for that."""
        queue = self.jobs[id]["queue"]
        self.redis.lrem(f"rq:queue:{queue}", 0, id)
        self.redis.zrem(f"rq:failed:{queue}", id)
        self.redis.zrem(f"rq:finished:{queue}", id)
        if self.jobs[id]["is_there"]:
            self.redis.hset(f"rq:job:{id}", "status", status)
            if status == "queued":
                self.redis.rpush(f"rq:queue:{queue}", id)
            else:
                self.redis.zadd(f"rq:{status}:{queue}", {id: 2_000_000_000})
        self.jobs[id]["status"] = status

    def expire(self, id: str) -> None:
        """Redis takes its hash; the rest stays."""
        self.redis.delete(f"rq:job:{id}")
        self.jobs[id]["is_there"] = False

    def delete(self, id: str) -> None:
        self.expire(id)
        self.redis.zrem(f"errand:index:{self.jobs[id]['queue']}:{self.jobs[id]['type']}", id)
        self.redis.zrem(f"errand:tag:{self.jobs[id]['tag']}", id)

    def find(self, wanted: Filter) -> list[str]:
        """The ids that the filter means, newest first."""
        found = [id for id, job in self.jobs.items() if job["is_there"] and _fits(job, wanted)]
        return sorted(found, key=lambda id: (self.jobs[id]["us"], id), reverse=True)


def _fits(job: dict[str, Any], wanted: Filter) -> bool:
    created = START + timedelta(microseconds=job["us"])
    return (
        all(getattr(wanted, name) in (None, job[name]) for name in ("type", "queue", "tag", "status"))
        and (wanted.created_after is None or created >= wanted.created_after)
        and (wanted.created_before is None or created < wanted.created_before)
    )


def times(*us: int) -> list[datetime]:
    return [START + timedelta(microseconds=one) for one in us]


FILTERS = st.builds(
    Filter,
    type=st.sampled_from([None, None, "a", "c"]),
    queue=st.sampled_from([None, None, "low"]),
    status=st.sampled_from([None, None, "queued", "finished", "failed"]),
    tag=st.sampled_from([None, None, "red"]),
    created_after=st.sampled_from([None, None, *times(3)]),
    created_before=st.sampled_from([None, None, *times(9)]),
)
STORED = st.tuples(st.just("store"), st.sampled_from("abc"), st.sampled_from(["", "red"]), st.integers(0, 12))
CHANGED = st.tuples(
    st.sampled_from(["finished", "failed", "queued", "expire", "delete", "sweep"]), st.integers(0, 1000)
)
CHANGES = st.lists(st.lists(STORED | CHANGED, max_size=6), min_size=1, max_size=8)


def change(world: World, step: tuple[Any, ...]) -> None:
    kind, *rest = step
    if kind == "store":
        world.store(*rest)
    elif kind == "sweep":
        Sweep(world.redis).run(0)
    elif world.jobs:
        id = list(world.jobs)[rest[0] % len(world.jobs)]
        if kind in WORDS:
            world.end(id, kind)
        else:
            getattr(world, kind)(id)


@pytest.mark.valkey
@pytest.mark.parametrize(("budget", "small"), [(2000, 1000), (2000, 0), (3, 4)])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.lists(STORED, max_size=25),
    ended=st.lists(CHANGED, max_size=10),
    rounds=CHANGES,
    wanted=FILTERS,
    limit=st.integers(1, 5),
)
def test_paging_neither_skips_nor_repeats(
    redis: Redis,
    use: Use,
    budget: int,
    small: int,
    first: list[Any],
    ended: list[Any],
    rounds: list[list[Any]],
    wanted: Filter,
    limit: int,
) -> None:
    redis.flushall()
    world = World(redis)
    for step in (*first, *ended):
        change(world, step)

    async def walk(jobs: JobIndex) -> None:
        seen: list[str] = []
        throughout, place, waiting = set(world.find(wanted)), None, list(rounds)
        while True:
            meant = world.find(wanted)
            page: Page = await jobs.read(wanted, limit, place)
            ids = [job.id for job in page.jobs]
            assert len(ids) <= limit
            assert ids == [id for id in meant if id in ids]  # as they are now, in order
            seen += ids
            if page.next is None:
                break
            assert len(ids) == limit or budget < 2000
            place = wanted.read_cursor(wanted.write_cursor(page.next))
            for step in waiting.pop(0) if waiting else ():
                change(world, step)
                throughout &= set(world.find(wanted))
        assert len(seen) == len(set(seen))
        assert throughout <= set(seen)
        places = [(world.jobs[id]["us"], id) for id in seen]
        assert places == sorted(places, reverse=True)

    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("BUDGET", budget), ("SMALL", small)):
            patch.setattr(index, name, value)
        use(walk)


def read_ids(use: Use, wanted: Filter, limit: int = 100) -> list[str]:
    async def main(jobs: JobIndex) -> list[str]:
        return [job.id for job in (await jobs.read(wanted, limit)).jobs]

    return list(use(main))


def test_the_last_page_says_so(redis: Redis, use: Use) -> None:
    world = World(redis)
    ids = [world.store(us=us) for us in range(4)]
    page: Page = use(lambda jobs: jobs.read(Filter(), 4))
    assert ([job.id for job in page.jobs], page.next) == (ids[::-1], None)


def test_a_job_is_read_as_one_alone_is(redis: Redis, use: Use) -> None:
    world = World(redis)
    id = world.store()
    error = {"type": "ValueError", "message": "no"}
    redis.hset(f"rq:job:{id}", mapping={"status": "failed", "errand_error": json.dumps(error)})
    page: Page = use(lambda jobs: jobs.read(Filter(), 1))
    assert (page.jobs[0].type, page.jobs[0].status, page.jobs[0].error.type) == ("a", "failed", "ValueError")


def test_jobs_that_share_their_time_are_paged_by_id(redis: Redis, use: Use) -> None:
    world = World(redis)
    for _ in range(50):
        world.store(us=5)

    async def walk(jobs: JobIndex) -> list[str]:
        page = await jobs.read(Filter(), 7)
        seen = [job.id for job in page.jobs]
        while page.next:
            page = await jobs.read(Filter(), 7, page.next)
            seen += [job.id for job in page.jobs]
        return seen

    assert use(walk) == sorted(world.jobs, reverse=True)


def test_a_damaged_record_is_left_out(redis: Redis, use: Use) -> None:
    world = World(redis)
    id, damaged = world.store(us=1), world.store(us=2)
    redis.delete(f"rq:job:{damaged}")
    redis.set(f"rq:job:{damaged}", "?")
    assert read_ids(use, Filter()) == [id]
    assert read_ids(use, Filter(status="queued")) == [id]


def test_a_running_job_is_found_by_its_status_though_rq_lists_its_executions(redis: Redis, use: Use) -> None:
    world = World(redis)
    id = world.store()
    redis.hset(f"rq:job:{id}", "status", "started")
    redis.zadd("rq:wip:low", {f"{id}:one": 1, f"{id}:two": 2})
    assert read_ids(use, Filter(status="started")) == [id]


def test_a_limited_job_is_found_by_its_status(redis: Redis, use: Use) -> None:
    world = World(redis)
    id = world.store()
    redis.hset(f"rq:job:{id}", "status", "rate_limited")
    redis.sadd("rq:rl-keys", "site")
    redis.zadd("rq:rl:site:rate_limited", {id: 1})
    assert read_ids(use, Filter(status="rate_limited")) == [id]


def test_a_stopped_job_lies_among_the_failed(redis: Redis, use: Use) -> None:
    world = World(redis)
    stopped, failed = world.store(us=1), world.store(us=2)
    for id in (stopped, failed):
        world.end(id, "failed")
    redis.hset(f"rq:job:{stopped}", "status", "stopped")
    assert read_ids(use, Filter(status="stopped")) == [stopped]
    assert read_ids(use, Filter(status="failed")) == [failed]


def test_a_tag_counts_among_the_few_jobs_of_a_status(redis: Redis, use: Use) -> None:
    world = World(redis)
    red, *_ = [world.store(tag="red", us=us) for us in range(5)]
    world.end(red, "failed")
    world.end(world.store(us=9), "failed")
    assert read_ids(use, Filter(status="failed", tag="red")) == [red]


def test_a_plain_producers_job_is_found_by_its_status(redis: Redis, use: Use) -> None:
    id = Queue("low", connection=redis, serializer="json").enqueue("copy.copy", 1).id
    assert read_ids(use, Filter(status="queued")) == [id]
    assert read_ids(use, Filter()) == []


@pytest.mark.parametrize("day", ["2024-02-29", "2025-12-31", "2026-01-01", "2026-03-01", "2000-02-29", "2100-03-01"])
def test_a_job_without_an_index_has_its_place_by_its_time_of_creation(redis: Redis, use: Use, day: str) -> None:
    world, moment = World(redis), datetime.fromisoformat(f"{day}T23:59:59.123456+00:00")
    id = world.store()
    redis.hset(f"rq:job:{id}", "created_at", f"{day}T23:59:59.123456Z")
    redis.delete("errand:index:low:a")
    another = world.store(us=count_us(moment) - count_us(START) - 1)
    assert read_ids(use, Filter(status="queued")) == [id, another]
    page: Page = use(lambda jobs: jobs.read(Filter(status="queued"), 1))
    assert page.next == (str(count_us(moment)), id)


def test_a_page_ends_after_some_looking(redis: Redis, use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(redis)
    for us in range(30):
        id = world.store(us=us)
        if us in (2, 3, 24):
            world.end(id, "failed")
    for name, value in (("BUDGET", 4), ("SMALL", 0)):
        monkeypatch.setattr(index, name, value)

    async def walk(jobs: JobIndex) -> list[int]:
        page = await jobs.read(Filter(status="failed"), 5)
        counts = [len(page.jobs)]
        while page.next:
            page = await jobs.read(Filter(status="failed"), 5, page.next)
            counts.append(len(page.jobs))
        return counts

    assert use(walk) == [0, 1, 0, 0, 0, 0, 2, 0]


def test_large_jobs_make_a_short_page(redis: Redis, use: Use) -> None:
    world = World(redis)
    for us in range(40):
        id = world.store(us=us)
        world.end(id, "failed")
        redis.xadd(f"rq:results:{id}", {"exc_string": "x" * 64_000})
    page: Page = use(lambda jobs: jobs.read(Filter(), 40))
    assert len(page.jobs) == 17
    assert page.next is not None


def test_what_the_api_stores_is_listed(redis: Redis, queue_settings: QueueSettings) -> None:

    async def main() -> tuple[list[NewJob], list[Page]]:
        async with connect(queue_settings.redis_url) as client:
            enqueuer, jobs = Enqueuer(client, queue_settings, job_types.TYPES), JobIndex(client, [])
            new = [NewJob(job_types.LOG, {"text": "x"}, tags=("red",)) for _ in range(3)]
            await enqueuer.store(new)
            wanted = (Filter(), Filter(type="log"), Filter(tag="red"), Filter(queue="log"), Filter(type="email"))
            return new, [await jobs.read(one, 10) for one in wanted]

    new, pages = asyncio.run(main())
    ids = [job.id for job in sorted(new, key=lambda job: (job.created_at, job.id), reverse=True)]
    assert [[job.id for job in page.jobs] for page in pages] == [ids] * 4 + [[]]


def test_a_cursor_of_other_filters_is_refused() -> None:
    cursor = Filter(type="a").write_cursor(("1", "x"))
    assert Filter(type="a").read_cursor(cursor) == ("1", "x")
    with pytest.raises(ForeignCursorError, match="other filters"):
        Filter(type="b").read_cursor(cursor)


@given(st.text(max_size=60))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ForeignCursorError):
        Filter().read_cursor(text)
