"""The chore that keeps the counts."""

import time

import pytest
from redis import Redis

from errand.redis import keys
from errand.worker.maintenance.stats import INTERVAL_SECONDS, StatsRollup
from tests.store.tallied import find_minute, write_end


def test_it_counts_now_and_again_after_its_interval(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    minute, stats = find_minute(redis) - 1, StatsRollup(redis)
    for number in range(3):
        write_end(redis, minute - number, "log|0|0|finished")
        stats.run()
    assert redis.hget(keys.TOTALS, "log") == b"[[1],[1],[1],0,0]"
    now += INTERVAL_SECONDS
    stats.run()
    assert redis.hget(keys.TOTALS, "log") == b"[[3],[3],[3],0,0]"
