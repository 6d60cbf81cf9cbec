"""Sweeping the indexes: they forget what has expired, and nothing else."""

import time

import pytest
from redis import Redis

from errand.worker.maintenance import sweep
from errand.worker.maintenance.sweep import Sweep
from tests.support.services import Services
from tests.support.waiting import wait_until


def index(redis: Redis, name: str, there: int, gone: int = 0) -> list[bytes]:
    """Fill an index with jobs that are there and ids of jobs that are not, mixed; return the former."""
    ids = [f"{name[-1]}-{number:06d}" for number in range(there + gone)]
    kept = ids[:: max(1, len(ids) // there)][:there] if there else []
    pipe = redis.pipeline()
    pipe.zadd("errand:indexes", {name: 0})
    pipe.zadd(name, {id: number for number, id in enumerate(ids)})
    for id in kept:
        pipe.hset(f"rq:job:{id}", "status", "finished")
    pipe.execute()
    return [id.encode() for id in kept]


def test_what_has_expired_is_forgotten_and_the_rest_stays(redis: Redis) -> None:
    a, b = index(redis, "errand:index:q:a", 3, 4), index(redis, "errand:tag:b", 2, 1)
    assert Sweep(redis).run() == 5
    assert (redis.zrange("errand:index:q:a", 0, -1), redis.zrange("errand:tag:b", 0, -1)) == (a, b)
    assert redis.zrange("errand:indexes", 0, -1) == [b"errand:index:q:a", b"errand:tag:b"]


def test_names_of_empty_indexes_are_forgotten(redis: Redis) -> None:
    for name in "abcdef":
        index(redis, f"errand:tag:{name}", 0, 1)
    index(redis, "errand:tag:z", 1)
    redis.zadd("errand:indexes", {"errand:tag:never": 0})
    Sweep(redis).run()
    assert redis.zrange("errand:indexes", 0, -1) == [b"errand:tag:z"]


def test_a_round_goes_through_all_indexes_however_large(redis: Redis) -> None:
    kept = index(redis, "errand:index:q:a", 1100, 3)
    index(redis, "errand:index:q:b", 700, 2)
    index(redis, "errand:tag:c", 400, 1)
    for _ in range(7):
        Sweep(redis).run(0)  # a worker each: they share the round
    assert redis.zrange("errand:index:q:a", 0, -1) == kept
    assert [redis.zcard(name) for name in ("errand:index:q:b", "errand:tag:c")] == [700, 400]


def test_after_the_last_index_the_first_one_comes_again(redis: Redis) -> None:
    index(redis, "errand:index:q:a", 600)
    for _ in range(3):
        Sweep(redis).run(0)
        redis.delete("rq:job:a-000000")
    wait_until(lambda: Sweep(redis).run(0) or redis.zscore("errand:index:q:a", "a-000000") is None)
    assert redis.zcard("errand:index:q:a") == 599


def test_where_the_index_it_was_in_has_gone_the_next_one_is_swept_from_its_start(redis: Redis) -> None:
    index(redis, "errand:index:q:a", 600)
    index(redis, "errand:index:q:b", 5, 5)
    Sweep(redis).run(0)
    redis.delete("errand:index:q:a")
    redis.zrem("errand:indexes", "errand:index:q:a")
    assert Sweep(redis).run(0) == 5


def test_workers_together_keep_one_pace(redis: Redis) -> None:
    index(redis, "errand:index:q:a", 5)
    assert Sweep(redis).run(60_000) == 0
    redis.delete("rq:job:a-000000")
    assert Sweep(redis).run(60_000) == 0
    assert Sweep(redis).run(0) == 1


def test_where_much_has_expired_it_goes_on_at_once(redis: Redis) -> None:
    index(redis, "errand:index:q:a", 500, 3000)
    Sweep(redis).run()
    assert redis.zcard("errand:index:q:a") == 500


def test_it_holds_up_nobody_for_long(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "ROUND_SECONDS", 0.0)
    index(redis, "errand:index:q:a", 0, 3000)
    assert Sweep(redis).run() == 500


def test_a_key_of_another_type_is_passed_over(redis: Redis) -> None:
    redis.set("errand:index:q:a", "?")
    redis.zadd("errand:indexes", {"errand:index:q:a": 0})
    index(redis, "errand:index:q:b", 1, 1)
    assert Sweep(redis).run() == 1


def test_without_jobs_nothing_is_written(redis: Redis) -> None:
    assert Sweep(redis).run() == 0
    assert redis.keys() == []


def test_ten_thousand_tags_of_one_job_each_are_swept(redis: Redis) -> None:
    pipe = redis.pipeline()
    for number in range(10_000):
        pipe.zadd(f"errand:tag:{number}", {f"id{number}": 1})
        pipe.zadd("errand:indexes", {f"errand:tag:{number}": 0})
    pipe.execute()
    deadline = time.monotonic() + 20
    while redis.zcard("errand:indexes"):
        Sweep(redis).run(0)
        assert time.monotonic() < deadline
    assert redis.keys("errand:tag:*") == []


def test_a_worker_sweeps(services: Services, redis: Redis) -> None:
    services.start_api()
    id = services.post("echo", {"value": 1}, "?tag=red")
    services.start_worker()
    services.wait_for(id)
    assert redis.zrange("errand:tag:red", 0, -1) == [id.encode()]
    redis.delete(f"rq:job:{id}")
    wait_until(lambda: redis.zcard("errand:indexes") == 0)
    assert not redis.exists("errand:tag:red", "errand:index:default:echo")
