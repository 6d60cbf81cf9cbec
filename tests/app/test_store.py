"""`run.store` and `run.store_sync`."""

import asyncio
import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis

from errand import Errand, recording
from errand.builtin import log
from errand.contract.from_python.home import HomelessJobError
from errand.redis.memory import FullRedisError, Memory
from errand.redis.settings import SettingsError
from errand.store.from_python import sync
from errand.store.new_job import UnknownParentError
from tests.app.shop.jobs import reminder, welcome
from tests.support.job_types import TALLY

OTHER = "bcdefa92-2fcf-4655-b44f-7846d446f290"


def read_payload(redis: Redis, id: str) -> list[object]:
    data: Any = redis.hget(f"rq:job:{id}", "data")
    assert data is not None
    return list(json.loads(zlib.decompress(data)))


def test_a_script_stores_a_job_and_has_its_id(errand: Errand, redis: Redis) -> None:
    id = welcome.run.store_sync("ada")
    assert redis.lrange("rq:queue:shop", 0, -1) == [id.encode()]
    assert read_payload(redis, id) == ["tests.app.shop.jobs.welcome.run.perform", None, [], {"email": "ada"}]


def test_async_code_without_a_lifespan_stores_as_well(errand: Errand, redis: Redis) -> None:
    id = asyncio.run(welcome.run.store("ada"))
    assert redis.lrange("rq:queue:shop", 0, -1) == [id.encode()]


def test_async_code_inside_the_lifespan_stores_over_its_connection(errand: Errand, redis: Redis) -> None:
    async def store() -> str:
        async with errand.lifespan():
            return await welcome.run.store("ada", delay_seconds=60)

    id = asyncio.run(store())
    assert redis.zrange("rq:scheduled:shop", 0, -1) == [id.encode()]


def test_a_job_is_delayed_tagged_and_expires(errand: Errand, redis: Redis) -> None:
    id = reminder.run.store_sync("ada", delay_seconds=60, tags=["vip"], expires_in_seconds=120)
    due = redis.zscore("rq:scheduled:shop", id)
    assert due is not None
    assert 55 < due - datetime.now(UTC).timestamp() < 62
    assert redis.hget(f"rq:job:{id}", "errand_tags") == b'["vip"]'
    assert redis.zscore("errand:expires", id) is not None


def test_a_time_is_taken_as_well_as_a_delay(errand: Errand, redis: Redis) -> None:
    moment = datetime.now(UTC) + timedelta(hours=1)
    id = reminder.run.store_sync("ada", run_at=moment)
    assert redis.zscore("rq:scheduled:shop", id) == pytest.approx(moment.timestamp(), abs=1)


def test_a_job_waits_for_another(errand: Errand, redis: Redis) -> None:
    first = welcome.run.store_sync("ada")
    second = reminder.run.store_sync("ada", after=first)
    assert redis.zrange("rq:deferred:shop", 0, -1) == [second.encode()]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_job_waits_for_all_of_a_batch(errand: Errand, redis: Redis, is_async: bool) -> None:
    first = welcome.run.store_sync("ada")
    redis.hset(f"errand:batch:{OTHER}", mapping={"type": "welcome", "created_at": "", first: ""})
    if is_async:
        last = asyncio.run(reminder.run.store("ada", after=OTHER))
    else:
        last = reminder.run.store_sync("ada", after=OTHER)
    assert redis.zrange("rq:deferred:shop", 0, -1) == [last.encode()]
    assert redis.smembers(f"rq:job::{last}:dependencies") == {first.encode()}


def test_the_same_key_is_the_same_job(errand: Errand, redis: Redis) -> None:
    ids = {reminder.run.store_sync("ada", key="ada-1") for _ in range(3)}
    assert redis.lrange("rq:queue:shop", 0, -1) == [ids.pop().encode()]
    assert not ids


def test_while_a_job_waits_under_a_unique_key_it_is_the_answer(errand: Errand, redis: Redis) -> None:
    id = reminder.run.store_sync("ada", unique_key="ada")
    assert reminder.run.store_sync("bob", unique_key="ada") == id
    assert asyncio.run(reminder.run.store("bob", unique_key="ada")) == id
    assert redis.lrange("rq:queue:shop", 0, -1) == [id.encode()]


def test_the_last_one_replaces_what_waits_for_its_time(errand: Errand, redis: Redis) -> None:
    id = reminder.run.store_sync("ada", unique_key="ada", delay_seconds=60)

    async def store() -> str:
        async with errand.lifespan():
            return await reminder.run.store("bob", unique_key="ada", delay_seconds=60, replace=True)

    assert asyncio.run(store()) == id
    assert read_payload(redis, id)[3] == {"email": "bob"}


def test_one_job_has_another_time_out_and_other_tries_than_its_type(errand: Errand, redis: Redis) -> None:
    id = reminder.run.store_sync("ada", timeout_seconds=7, tries=1)
    assert redis.hmget(f"rq:job:{id}", "timeout", "retries_left") == [b"7", None]


def test_a_key_is_one_jobs_alone(errand: Errand) -> None:
    assert reminder.run.store_sync("ada", key="1") != welcome.run.store_sync("ada", key="1")


def test_a_large_payload_lies_outside_its_job(errand: Errand, redis: Redis) -> None:
    id = welcome.run.store_sync("a" * 300_000)
    assert redis.hlen("errand:bodies") == 2
    assert len(redis.hget(f"rq:job:{id}", "data") or b"") < 2_000


def test_an_unknown_parent_is_an_error_and_nothing_is_stored(errand: Errand, redis: Redis) -> None:
    with pytest.raises(UnknownParentError, match=OTHER):
        reminder.run.store_sync("ada", after=OTHER)
    assert redis.keys("rq:job:*") == []


def test_a_nearly_full_redis_takes_nothing(errand: Errand, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "read_memory", lambda info: Memory(90, 100))
    with pytest.raises(FullRedisError):
        reminder.run.store_sync("ada")


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"delay_seconds": -1}, "delay_seconds is -1"),
        ({"delay_seconds": float("nan")}, "delay_seconds is nan"),
        ({"delay_seconds": 1, "run_at": datetime.now(UTC)}, "delay_seconds or run_at, not both"),
        ({"run_at": datetime(2030, 1, 1)}, "run_at has no time zone"),
        ({"run_at": datetime(2999, 1, 1, tzinfo=UTC)}, "more than ten years away"),
        ({"delay_seconds": 1, "after": OTHER}, "for others .* or for a time"),
        ({"delay_seconds": 60, "expires_in_seconds": 30}, "would expire before it is due"),
        ({"delay_seconds": 60, "expires_in_seconds": 60.000001}, "would expire before it is due"),  # at a whole second
        ({"after": "x"}, "'x' is no job's id"),
        ({"tags": ["a b"]}, "'a b' is none"),
        ({"on_failure": "stop"}, "on_failure is 'stop'"),
        ({"key": ""}, "key has 0 characters"),
        ({"timeout_seconds": 0}, "timeout_seconds is 0; give 1 to 86,400"),
        ({"tries": 0}, "tries is 0; give 1 to 1,000"),
        ({"unique_key": "a b"}, "unique_key is 'a b'"),
        ({"replace": True}, "give one"),
        ({"unique_key": "a", "key": "b"}, "not both"),
        ({"unique_key": "a", "replace": True, "after": OTHER}, "leave after out"),
    ],
)
def test_what_can_not_be_asked_for_is_refused(
    errand: Errand, redis: Redis, options: dict[str, object], fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        reminder.run.store_sync("ada", **options)
    assert redis.keys("rq:*") == []


def test_an_id_is_taken_as_it_is_written(errand: Errand, redis: Redis) -> None:
    first = welcome.run.store_sync("ada")
    reminder.run.store_sync("ada", after=first.upper())
    assert redis.zcard("rq:deferred:shop") == 1


def test_inside_a_job_nothing_else_is_asked_for() -> None:
    with pytest.raises(TypeError, match=r"run.enqueue\(\) takes no options"):
        reminder.run.using(delay_seconds=60).enqueue("ada")


def test_one_string_is_no_list_of_tags(errand: Errand) -> None:
    with pytest.raises(TypeError, match="tags is one string"):
        reminder.run.store_sync("ada", tags="vip")


def test_in_a_unit_test_it_is_recorded(errand: Errand, redis: Redis) -> None:
    with recording() as sent:
        reminder.run.store_sync("ada")
        asyncio.run(reminder.run.store("bob"))
    assert sent == [("reminder", {"email": "ada"}), ("reminder", {"email": "bob"})]
    assert redis.keys("rq:*") == []


def test_a_job_without_an_errand_says_what_is_missing() -> None:
    with pytest.raises(HomelessJobError, match=r"this process has no Errand\('nowhere'\)"):
        TALLY.adopt("nowhere.tally").store_sync(1)


def test_a_builtin_job_is_the_errands_that_names_it(errand: Errand, redis: Redis) -> None:
    id = log.run.store_sync("hello")
    assert read_payload(redis, id)[0] == "errand.builtin.log.run.perform"


def test_a_builtin_job_of_two_errands_is_refused_with_how_to_give_it_to_one(errand: Errand) -> None:
    other = Errand("tests.app.blog.jobs", builtin=["log"])
    with pytest.raises(HomelessJobError, match=r"run = log.run.adopt\(__name__\)"):
        log.run.store_sync("hello")
    assert other.builtin == ("log",)


@pytest.mark.parametrize(
    ("builtin", "fault"), [("sms", "there are email, log, webhook"), ("welcome", "there is none of that name")]
)
def test_an_unknown_builtin_job_is_an_error_that_names_those_that_there_are(builtin: str, fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        _ = Errand("tests.app.shop.jobs", builtin=[builtin]).types
