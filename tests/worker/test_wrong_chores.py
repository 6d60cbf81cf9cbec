"""The worker's chores and keys of a wrong type: one ends a chore at most, and the log names it."""

import time
from functools import partial
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError, ResponseError
from rq import Queue

from errand.redis.lua.loader import read_script
from errand.redis.wrong_type import WrongKey, do_each, read_wrong_keys
from errand.worker.maintenance.due import DueJobs
from errand.worker.maintenance.wrong_type_keys import WrongKeys
from tests.store.wrong import spoil
from tests.support.services import Services
from tests.support.waiting import wait_until
from tests.worker.test_due import schedule

SHARED = {
    "rq:queue:a": "list",
    "rq:queues": "set",
    "rq:workers": "set",
    "errand:leases": "zset",
    "errand:indexes": "zset",
    "errand:paused": "set",
    "errand:rates": "hash",
    "errand:parked": "set",
    "errand:held": "set",
    "errand:settling": "zset",
    "errand:expires": "zset",
    "errand:schedules": "zset",
    **{f"rq:{name}:a": "zset" for name in ("wip", "finished", "failed", "canceled", "scheduled", "deferred")},
}


def read_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "errand.worker"]


@pytest.mark.parametrize("key", SHARED)
def test_the_log_names_each_key_and_what_to_do_once(redis: Redis, key: str, caplog: pytest.LogCaptureFixture) -> None:
    wrong = WrongKeys(redis, ["a"])
    wrong.run()
    assert not caplog.records
    spoil(redis, key)
    for _ in range(3):
        wrong.note(ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"))
    (line,) = read_lines(caplog)
    assert line.startswith(f"The key {key} in Redis is a string, not a {SHARED[key]}; look at it, then move it away")
    assert f"RENAME {key} wrong:{key}" in line


def test_what_others_list_is_looked_at_too(redis: Redis) -> None:
    redis.zadd("errand:indexes", {"errand:tag:a": 0, "errand:index:a:x": 0})
    redis.sadd("errand:rated", "errand:rated:a:x")
    redis.sadd("rq:rl-keys", "k")
    for key in ("errand:tag:a", "errand:rated:a:x", "rq:rl:k:allowed"):
        spoil(redis, key, "hash")
    found = read_wrong_keys(redis.register_script(read_script("observe/keys"))())
    names = ("errand:rated:a:x", "errand:tag:a", "rq:rl:k:allowed")
    assert found == [WrongKey(name, "hash", "zset") for name in names]


def test_a_chore_that_fails_otherwise_is_no_matter_of_keys(redis: Redis) -> None:
    def lose() -> None:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        WrongKeys(redis).attempt(lose)


def test_each_step_is_done_and_the_first_fault_raised() -> None:
    done = []

    def step(number: int) -> int:
        done.append(number)
        if number in (1, 2):
            raise ResponseError(f"WRONGTYPE {number}")
        return number

    with pytest.raises(ResponseError, match="WRONGTYPE 1"):
        do_each(partial(step, number) for number in range(4))
    assert done == [0, 1, 2, 3]


def test_due_jobs_stay_on_the_schedule_while_their_list_is_wrong(redis: Redis) -> None:
    of_log, other = (Queue(name, connection=redis, serializer="json") for name in ("log", "other"))
    due = schedule(of_log, 2, time.time() - 1)
    redis.zadd("rq:scheduled:other", {due[1]: 1})
    spoil(redis, "rq:queue:log")
    move = DueJobs(redis, [of_log, other]).move
    with pytest.raises(ResponseError, match="WRONGTYPE key rq:queue:log is a string, not a list"):
        move()
    assert redis.zrange("rq:scheduled:log", 0, -1) == sorted(due)
    assert redis.lrange("rq:queue:other", 0, -1) == [due[1]]
    redis.rename("rq:queue:log", "wrong")
    assert move() == 2
    assert sorted(redis.lrange("rq:queue:log", 0, -1)) == sorted(due)


def test_a_due_job_whose_slots_are_wrong_holds_up_no_other(redis: Redis) -> None:
    queue = Queue("log", connection=redis, serializer="json")
    limited, plain = schedule(queue, 2, time.time() - 1)
    redis.hset(b"rq:job:" + limited, mapping={"rate_limit_key": "k", "rate_limit_concurrency": "1"})
    spoil(redis, "rq:rl:k")
    DueJobs(redis, [queue]).move()
    assert redis.lrange("rq:queue:log", 0, -1) == [plain]
    assert redis.zscore("rq:scheduled:log", limited) > time.time() + 50
    assert redis.hget(b"rq:job:" + limited, "status") == b"scheduled"


@pytest.mark.quick
def test_a_worker_goes_on_among_many_keys_of_a_wrong_type(services: Services, redis: Redis, tmp_path: Path) -> None:
    keys = [key.replace(":a", ":email") for key in SHARED if key not in ("errand:leases", "errand:schedules")]
    keys.remove("errand:indexes")  # without it nothing is stored
    keys += ["errand:notes", "errand:retrying", "errand:totals", "errand:rated"]
    for key in keys:
        spoil(redis, key)
    worker = services.start_worker()
    services.start_api()
    payload = {"ledger": str(tmp_path / "l")}
    ids = [services.call("POST", f"/v1/jobs/ledger{query}", payload).body["id"] for query in ("", "?delay_seconds=1")]
    body = {"type": "ledger", "payload": {"ledger": str(tmp_path / "s")}, "every_seconds": 1}
    assert services.call("PUT", "/v1/schedules/tick", body).status == 201
    for id in ids:
        wait_until(lambda id=id: redis.hget(f"rq:job:{id}", "status") == b"finished")
    wait_until(lambda: (tmp_path / "s").exists())
    log = services.read_log(worker)
    assert "Redis is away" not in log
    for key in keys:
        assert f"The key {key} in Redis is a string" in log, key
