"""A job whose record can't be read ends no worker."""

from collections.abc import Callable

import pytest
from redis import Redis

from tests.support.services import Services

DAMAGE: dict[str, Callable[[Redis, str], object]] = {
    "no data": lambda redis, key: redis.hdel(key, "data"),
    "an unreadable payload": lambda redis, key: redis.hset(key, "data", b"\x80\x04garbage"),
    "a payload that is no call": lambda redis, key: redis.hset(key, "data", b'{"a": 1}'),
    "a bad time": lambda redis, key: redis.hset(key, "created_at", "yesterday"),
    "an unknown status": lambda redis, key: redis.hset(key, "status", "elsewhere"),
    "a bad number": lambda redis, key: redis.hset(key, "retries_left", "many"),
    "no hash": lambda redis, key: (redis.delete(key), redis.set(key, "text")),
}


DELAYED = [damage for damage in DAMAGE if damage != "an unknown status"]  # moving a due job writes its status
CASES = [(damage, "") for damage in DAMAGE] + [(damage, "?delay_seconds=1") for damage in DELAYED]


@pytest.mark.quick("no data-")
@pytest.mark.parametrize(("damage", "query"), CASES)
def test_the_worker_goes_on_behind_a_damaged_job(services: Services, redis: Redis, damage: str, query: str) -> None:
    services.start_api()
    damaged = services.post("echo", {"value": 1}, query)
    DAMAGE[damage](redis, f"rq:job:{damaged}")
    worker = services.start_worker()
    behind = services.post("echo", {"value": 2}, query)
    assert services.wait_for(behind)["result"] == 2
    assert worker.poll() is None
    if redis.type(f"rq:job:{damaged}") == b"hash":
        job = services.wait_for(damaged)
        assert (job["status"], job["error"]["type"]) == ("failed", "DamagedJob")
        assert job["error"]["message"].startswith("its record can't be read: ")
        assert [letter["id"] for letter in services.call("GET", "/v1/dead-letters").body["items"]] == [damaged]


def test_a_queues_name_that_is_no_text_is_mended(services: Services, redis: Redis) -> None:
    services.start_api()
    id = services.post("echo", {"value": 1})
    redis.hset(f"rq:job:{id}", "origin", b"\xff\xfe")
    services.start_worker()
    assert services.wait_for(id)["queue"] == "default"


def test_a_single_queues_worker_leaves_nothing_between(services: Services, redis: Redis) -> None:
    services.start_api()
    damaged = services.post("echo", {"value": 1})
    redis.hset(f"rq:job:{damaged}", "created_at", "yesterday")
    services.start_worker("default")
    assert services.wait_for(services.post("echo", {"value": 2}))["result"] == 2
    assert redis.lrange("rq:queue:default:intermediate", 0, -1) == []
