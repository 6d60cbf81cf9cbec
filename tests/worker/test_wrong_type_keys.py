"""One key of a wrong type: what is in it stands still, and nothing else; no job is lost, and none loses a try."""

import time
from collections.abc import Sequence

import pytest
from redis import Redis
from rq import Queue

from errand.worker.execution import Execution
from errand.worker.records import Exchange, Records
from errand.worker.served import ServedQueues
from tests.store.wrong import spoil
from tests.worker.scripts import ECHO, build_records, read, send_report

A, B = "a", "b"
RATE = ("rated", 1, 3_600_000_000)
OF_ALL = ("errand:leases", "rq:worker:one:executions")  # nothing starts without these
OF_A = ("rq:queue:a", "rq:wip:a")
OF_NONE = (
    *("errand:rates", "errand:starts:rated", "errand:rated", "errand:rated:a:rated", "errand:parked", "errand:paused"),
    *(
        "errand:held",
        "errand:settling",
        "errand:expires",
        "errand:indexes",
        "errand:retrying",
        "errand:retrying:a",
        "errand:notes",
    ),
    *("rq:workers", "rq:worker:one", "rq:queues", "rq:scheduled:a", "rq:finished:a", "rq:failed:a", "errand:posted"),
)
ALL = (*OF_ALL, *OF_A, *OF_NONE)


def store(redis: Redis, queue: str, count: int = 2, description: str = "x") -> list[str]:
    target = Queue(queue, connection=redis, serializer="json")
    return [target.enqueue_call(ECHO, description=description).id for _ in range(count)]


def exchange(
    records: Records, executions: Sequence[str], in_turn: bool = False, rates: tuple[str | int, ...] = ()
) -> Exchange:
    return records.exchange([], executions, ServedQueues([A, B], in_turn, rates=rates))


def list_ids(redis: Redis, queue: str) -> list[str]:
    is_list = redis.type(f"rq:queue:{queue}") == b"list"
    return [id.decode() for id in redis.lrange(f"rq:queue:{queue}", 0, -1)] if is_list else []


def assert_nothing_is_lost(redis: Redis, queue: str, ids: list[str], executions: list[Execution], wrong: str) -> None:
    """Each job runs under a lease, or waits where it is found, at no attempt."""
    started, waiting = {execution.job_id: execution for execution in executions}, list_ids(redis, queue)
    for id in ids:
        status, attempts = read(redis, id, "status", "errand_attempts")
        if id in started:
            assert (status, attempts) == (b"started", b"1")
            assert redis.zscore("errand:leases", started[id].member) is not None
            assert redis.zscore(f"rq:wip:{queue}", started[id].member) is not None
        elif status == b"scheduled":
            assert redis.zscore(f"rq:scheduled:{queue}", id) is not None
        else:
            assert (status, attempts or b"0") == (b"queued", b"0")
            assert id in waiting or wrong == f"rq:queue:{queue}" or redis.zscore(f"errand:rated:{queue}:rated", id)


@pytest.mark.parametrize("in_turn", [True, False])
@pytest.mark.parametrize("key", ALL)
def test_jobs_of_other_queues_are_taken_and_none_is_lost(redis: Redis, key: str, in_turn: bool) -> None:
    records = build_records(redis)
    of_a, of_b = store(redis, A), store(redis, B)
    order = list_ids(redis, A)
    spoil(redis, key)
    for round in range(2):
        executions = exchange(records, [f"e{round}{number}" for number in range(4)], in_turn).executions
        taken = {execution.job_id for execution in executions}
        if key in OF_ALL:
            assert not taken
        elif not round:
            assert taken == set(of_b) if key in OF_A else taken == {*of_a, *of_b}
        if round == 0:
            first = executions
    assert_nothing_is_lost(redis, A, of_a, first, key)
    assert_nothing_is_lost(redis, B, of_b, first, key)
    if key in OF_ALL or key == "rq:wip:a":
        assert list_ids(redis, A) == order


def test_a_queue_that_can_not_be_taken_does_not_take_the_places_of_others(redis: Redis) -> None:
    records = build_records(redis)
    store(redis, A, 5)
    of_b = store(redis, B, 1)
    spoil(redis, "rq:wip:a")
    assert [execution.job_id for execution in exchange(records, ["e0", "e1"]).executions] == of_b


def test_what_went_back_runs_once_the_key_is_moved_away(redis: Redis) -> None:
    records = build_records(redis)
    ids = store(redis, A)
    spoil(redis, "errand:leases")
    assert not exchange(records, ["e0", "e1"]).executions
    redis.rename("errand:leases", "wrong:errand:leases")
    executions = exchange(records, ["f0", "f1"]).executions
    assert [execution.job_id for execution in executions] == ids
    assert_nothing_is_lost(redis, A, ids, executions, "")


@pytest.mark.parametrize("key", ["errand:rates", "errand:starts:rated", "errand:rated", "errand:rated:a:rated"])
def test_rated_jobs_wait_for_their_rate_and_hold_up_no_other(redis: Redis, key: str) -> None:
    records = build_records(redis)
    rated, other = store(redis, A, 600, "rated"), store(redis, A, 1)
    if key not in ("errand:rates", "errand:starts:rated"):
        exchange(records, ["e"], rates=RATE)  # the one that may start does
        rated.pop(0)
    spoil(redis, key)
    executions = [
        execution for number in range(3) for execution in exchange(records, [f"f{number}"], rates=RATE).executions
    ]
    assert [execution.job_id for execution in executions] == other
    assert_nothing_is_lost(redis, A, rated, [], key)


@pytest.mark.parametrize("key", [key for key in ALL if key != "rq:worker:one:executions"])
@pytest.mark.parametrize(
    ("kind", "status"),
    [("finished", b"finished"), ("permanent", b"failed"), ("stopped", b"stopped"), ("interrupted", b"queued")],
)
def test_ends_are_recorded(redis: Redis, key: str, kind: str, status: bytes) -> None:
    records = build_records(redis)
    store(redis, A, 1)
    (execution,) = exchange(records, ["e"]).executions
    spoil(redis, key)
    assert send_report(records, kind, execution) == status.decode()
    found = read(redis, execution.job_id, "status")[0]
    if key == "rq:queue:a" and kind == "interrupted":
        assert found == b"scheduled"
        assert redis.zscore("rq:scheduled:a", execution.job_id) is not None
    else:
        assert found == status
    assert not redis.exists(f"rq:execution:{execution.member}")


@pytest.mark.parametrize("key", [*OF_A, *OF_NONE, "errand:leases"])
@pytest.mark.parametrize("wait", [0, 5])
def test_a_failed_job_is_tried_again(redis: Redis, key: str, wait: int) -> None:
    records = build_records(redis)
    (id,) = store(redis, A, 1)
    redis.hset(f"rq:job:{id}", mapping={"retries_left": 2, "retry_intervals": f"[{wait}, {wait}]"})
    (execution,) = exchange(records, ["e"]).executions
    spoil(redis, key)
    assert send_report(records, "failed", execution) == ("scheduled" if wait else "queued")
    status, due = read(redis, id, "status", "errand_due")
    if key == "rq:scheduled:a" and wait:
        assert status == b"scheduled"
        assert float(due or 0) > time.time()
    elif status == b"scheduled":
        assert redis.zscore("rq:scheduled:a", id) is not None
    else:
        assert id in list_ids(redis, A)
