"""The rollup: each minute's counts come to the totals and to the spans, once, whatever happens meanwhile."""

import asyncio
import json
import random
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from redis import Redis

from errand.redis import keys
from errand.store.observe import rollup as rollup_module
from errand.store.observe.rollup import AsyncRollup, Rollup
from tests.store.tallied import find_minute, write_end


def read(redis: Redis, key: str) -> Any:
    return json.loads(redis.get(key) or b"null")


def read_totals(redis: Redis) -> dict[str, Any]:
    return {name.decode(): json.loads(text) for name, text in redis.hgetall(keys.TOTALS).items()}


def test_a_minute_that_is_over_comes_to_the_totals_and_to_each_span(redis: Redis) -> None:
    minute = find_minute(redis) - 1
    write_end(redis, minute, "log|2|0|finished", 3, waited_us=50_000, ran_us=4000)
    write_end(redis, minute, "log|0|19|retried", 2)
    write_end(redis, minute, "email|||canceled")
    assert Rollup(redis).run() == 0
    counts = {
        "log": [[3, 0, 2], [2, 0, 3], [3, *[0] * 18, 2], 50_000, 4000],
        "email": [[0, 0, 0, 0, 0, 0, 0, 1], [], [], 0, 0],
    }
    assert read_totals(redis) == counts
    for seconds in (60, 300, 3600):
        span = {type: lists[:3] for type, lists in counts.items()}
        assert read(redis, f"errand:stats:{seconds}:{minute * 60 // seconds * seconds}") == span
    assert not redis.keys("errand:tally:*")


def test_the_minute_that_it_is_stays_where_it_is(redis: Redis) -> None:
    minute = find_minute(redis)
    write_end(redis, minute, "log|0|0|finished")
    assert Rollup(redis).run() == 0
    assert redis.exists(f"errand:tally:{minute}")
    assert not redis.exists(keys.TOTALS)


def test_each_span_is_kept_for_its_time(redis: Redis) -> None:
    minute = find_minute(redis) - 1
    write_end(redis, minute, "log|0|0|finished")
    Rollup(redis).run()
    for seconds, kept in ((60, 3 * 3600), (300, 72 * 3600), (3600, 90 * 24 * 3600)):
        left = redis.ttl(f"errand:stats:{seconds}:{minute * 60 // seconds * seconds}")
        assert kept < left <= kept + 3 * seconds


def test_what_comes_late_to_a_minute_that_was_rolled_up_is_added(redis: Redis) -> None:
    minute, rollup = find_minute(redis) - 2, Rollup(redis)
    for count in (1, 10):
        write_end(redis, minute, "log|0|0|finished", count)
        rollup.run()
    assert read_totals(redis)["log"][0] == [11]
    assert read(redis, f"errand:stats:60:{minute * 60}")["log"][0] == [11]


def test_however_writes_and_rolls_up_mix_each_end_counts_once(redis: Redis) -> None:
    minute, chance, written = find_minute(redis), random.Random(5), 0
    rollups = [Rollup(redis), Rollup(redis)]
    for _ in range(60):
        if chance.random() < 0.5:
            chance.choice(rollups).run()
        else:
            written += 1
            write_end(redis, minute - chance.randint(1, 9), f"log|{chance.randint(0, 19)}|3|finished")
    rollups[0].run()
    ends, waits, runs, *_ = read_totals(redis)["log"]
    assert (ends, sum(waits), runs[3]) == ([written], written, written)
    hours = [read(redis, key.decode())["log"][0][0] for key in redis.keys("errand:stats:3600:*")]
    assert sum(hours) == written


def test_after_a_week_it_takes_some_at_a_call_and_goes_on(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    minute = find_minute(redis)
    redis.set(keys.TALLY_ROLLED_UP, minute - 7 * 24 * 60)
    for ago in range(7 * 24 * 60 - 5, 1, -400):
        write_end(redis, minute - ago, "log|0|0|finished")
    monkeypatch.setattr(rollup_module, "list_limits", lambda: [[3000, 5]])
    rollup, calls = Rollup(redis), 0
    while rollup.run():
        calls += 1
        assert calls < 20
    assert calls >= 3
    assert read_totals(redis)["log"][0] == [26]
    assert len(redis.keys("errand:stats:60:*")) == 1  # those of earlier minutes are not kept any more


def test_a_clock_that_is_set_back_loses_nothing(redis: Redis) -> None:
    minute = find_minute(redis)
    redis.set(keys.TALLY_ROLLED_UP, minute + 500)
    write_end(redis, minute + 501, "log|0|0|finished")  # the minute that it was
    write_end(redis, minute - 1, "log|0|0|finished")
    Rollup(redis).run()
    assert read_totals(redis)["log"][0] == [2]
    assert int(redis.get(keys.TALLY_ROLLED_UP) or 0) in (minute - 1, minute)
    assert redis.ttl(f"errand:stats:60:{(minute + 501) * 60}") <= 3 * 3600 + 180


def test_only_so_many_types_have_their_own_name(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    minute = find_minute(redis) - 1
    for number in range(keys.COUNTED_TYPES_LIMIT + 7):
        write_end(redis, minute, f"t{number}|0|0|finished")
    Rollup(redis).run()
    totals = read_totals(redis)
    assert len(totals) == keys.COUNTED_TYPES_LIMIT + 1
    assert totals["other"][0] == [7]


@pytest.mark.parametrize("damage", ["x", "[]", '{"log":3}', '{"log":[[1],[1],[1],1,"x"]}'])
def test_a_damaged_record_is_begun_anew(redis: Redis, damage: str) -> None:
    minute = find_minute(redis) - 1
    start = minute * 60
    redis.set(f"errand:stats:60:{start}", damage)
    redis.hset(keys.TOTALS, "log", damage)
    redis.hset(f"errand:tally:{minute}", "x", "y")
    write_end(redis, minute, "log|0|0|finished")
    Rollup(redis).run()
    assert read(redis, f"errand:stats:60:{start}")["log"][0] == [1]
    assert read_totals(redis)["log"][0] == [1]


def test_keys_of_another_kind_stop_nothing(redis: Redis) -> None:
    minute = find_minute(redis) - 1
    redis.set(keys.TOTALS, "x")
    redis.set(f"errand:tally:{minute - 1}", "x")
    redis.rpush(keys.TALLY_ROLLED_UP, "x")
    redis.rpush(f"errand:stats:60:{minute * 60}", "x")
    write_end(redis, minute, "log|0|0|finished")
    Rollup(redis).run()
    assert read_totals(redis)["log"][0] == [1]


def test_sums_stay_exact_beyond_what_cjson_writes(redis: Redis) -> None:
    minute = find_minute(redis) - 1
    redis.hset(keys.TOTALS, "log", "[[123456789012345],[],[],1234567890123456,0]")
    write_end(redis, minute, "log|0|0|finished", waited_us=1)
    Rollup(redis).run()
    assert read_totals(redis)["log"] == [[123456789012346], [1], [1], 1234567890123457, 0]


def rollup(redis: Mock, is_async: bool) -> int:
    return asyncio.run(AsyncRollup(redis).run()) if is_async else Rollup(redis).run()


@pytest.mark.parametrize("is_async", [True, False])
def test_it_rolls_up_until_nothing_is_left_or_its_time_is_over(monkeypatch: pytest.MonkeyPatch, is_async: bool) -> None:
    script = (AsyncMock if is_async else Mock)(side_effect=[3, 2, 0, 1])
    redis = Mock(register_script=Mock(return_value=script))
    monkeypatch.setattr(rollup_module, "ROUND_SECONDS", 60)
    assert (rollup(redis, is_async), script.call_count) == (0, 3)
    script.assert_called_with(args=[rollup_module.LOOKED_AT_ONCE, rollup_module.TAKEN_AT_ONCE])
    times = iter([0, 0, 59.9, 60])
    monkeypatch.setattr(rollup_module, "time", Mock(monotonic=lambda: next(times)))
    script.side_effect = [3, 2]
    assert rollup(redis, is_async) == 2
    monkeypatch.setattr(rollup_module, "list_limits", lambda: iter([]))
    assert rollup(redis, is_async) == 0
