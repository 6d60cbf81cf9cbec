"""No job starves: types with a rate beside others, several in one queue, several queues, types that are held."""

import pytest
from redis import Redis
from rq.rate_limit import RateLimit

from errand.worker.records import Exchange, Records
from errand.worker.served import ServedQueues
from tests.support.waiting import wait_until
from tests.worker.scripts import LIFETIMES, build_records, send_report
from tests.worker.test_rate import enqueue

HOUR_US = 3_600_000_000
TYPES = ("a", "b", "c")
BOTH = ("one", "two")
numbers = iter(range(10**9))


@pytest.fixture
def records(redis: Redis) -> Records:
    """One worker's."""
    return build_records(redis)


def exchange(
    records: Records,
    want: int = 1,
    rates: dict[str, tuple[int, int]] | None = None,
    names: tuple[str, ...] = ("default",),
    in_turn: bool = False,
    first: int = 1,
) -> Exchange:
    given = tuple(part for type, rate in (rates or {}).items() for part in (type, *rate))
    return records.exchange(
        [], [f"s{next(numbers)}" for _ in range(want)], ServedQueues(list(names), in_turn, first, given)
    )


def take(records: Records, want: int = 1, **options: object) -> list[str]:
    """Return the ids of the jobs that an exchange takes."""
    return [execution.job_id for execution in exchange(records, want, **options).executions]  # type: ignore[arg-type]


def park(redis: Redis, records: Records, queue: str = "default", count: int = 4) -> list[str]:
    """Let jobs of several types be parked, one type after the other; return their ids in this order."""
    ids = [enqueue(redis, 1, TYPES[number % len(TYPES)], queue)[0] for number in range(count * len(TYPES))]
    once_an_hour = dict.fromkeys(TYPES, (1, HOUR_US))
    assert take(records, len(ids), rates=once_an_hour, names=(queue,)) == ids[: len(TYPES)]
    assert redis.llen(f"rq:queue:{queue}") == 0
    return ids[len(TYPES) :]


@pytest.mark.parametrize("want", [1, 2, 5])
def test_of_several_parked_types_the_oldest_comes_first(redis: Redis, records: Records, want: int) -> None:
    parked = park(redis, records)
    taken: list[str] = []
    while len(taken) < len(parked):
        taken += take(records, want)
    assert taken == parked


def test_each_of_several_parked_types_starts_at_its_own_rate(redis: Redis, records: Records) -> None:
    rates = {"a": (1, 50_000), "b": (1, 50_000), "c": (1, HOUR_US)}
    ids: dict[str, list[str]] = {type: [] for type in TYPES}
    for number in range(18):
        type = TYPES[number % len(TYPES)]
        ids[type] += enqueue(redis, 1, type)
    taken: list[str] = []

    def has_taken_all() -> bool:
        taken.extend(take(records, 1, rates=rates))
        return {*ids["a"], *ids["b"]} <= set(taken)

    wait_until(has_taken_all)
    places = {type: [taken.index(id) for id in ids[type]] for type in "ab"}
    assert all(found == sorted(found) for found in places.values())
    assert max(abs(one - other) for one, other in zip(places["a"], places["b"], strict=True)) <= 3
    assert [id for id in taken if id in ids["c"]] == ids["c"][:1]


def test_others_behind_many_of_a_rated_type_start_as_soon_as_a_worker_has_come_by(
    redis: Redis, records: Records
) -> None:
    rated = enqueue(redis, 1200, "a")
    others = enqueue(redis, 3, "plain")
    rates = {"a": (1, HOUR_US)}
    turns = [exchange(records, 4, rates) for _ in range(3)]
    assert [execution.job_id for one in turns for execution in one.executions] == [rated[0], *others]
    assert [one.wait_seconds for one in turns[:2]] == [0, 0]  # it goes on at once: others may be behind
    later = enqueue(redis, 2, "plain")
    assert take(records, 4, rates=rates) == later
    assert take(records, len(rated)) == rated[1:]


def test_in_strict_order_a_queue_whose_jobs_wait_for_their_rate_holds_up_no_other(
    redis: Redis, records: Records
) -> None:
    rates = {"a": (1, 100_000)}
    first = enqueue(redis, 3, "a", "one")
    others = enqueue(redis, 3, "plain", "two")
    assert take(records, 2, rates=rates, names=BOTH) == [first[0], others[0]]
    wait_until(lambda: not exchange(records, 0, rates, BOTH).executions and _is_due(redis))
    assert take(records, 2, rates=rates, names=BOTH) == [first[1], others[1]]


def _is_due(redis: Redis) -> bool:
    seconds, microseconds = redis.time()
    last = int(redis.lindex("errand:starts:a", 0) or 0)
    return seconds * 1_000_000 + microseconds > max(last + 100_000, int(redis.hget("errand:rates", "a") or 0))


@pytest.mark.parametrize("first", [1, 2])
def test_in_turn_a_queue_with_many_parked_jobs_gives_no_more_than_the_others(
    redis: Redis, records: Records, first: int
) -> None:
    parked = park(redis, records, "one")
    others = enqueue(redis, 4, "plain", "two")
    taken = take(records, 8, names=BOTH, in_turn=True, first=first)
    assert taken[first - 1 :: 2] == parked[:4]
    assert sorted(taken) == sorted([*parked[:4], *others])
    assert [id in others for id in taken] == [number % 2 != first - 1 for number in range(8)]


def test_new_ones_of_a_parked_type_do_not_pass_the_others(redis: Redis, records: Records) -> None:
    parked = park(redis, records)
    new = enqueue(redis, 3, "a")
    assert take(records, 20) == [*parked, *new]


def test_a_type_that_is_held_and_has_a_rate_holds_up_no_other(redis: Redis, records: Records) -> None:
    rates = {"a": (5, HOUR_US)}
    enqueue(redis, 1, "a")
    (execution,) = exchange(records, 1, rates).executions
    send_report(records, "down", execution, "the provider is away")
    enqueue(redis, 20, "a")
    others = enqueue(redis, 3, "plain")
    assert take(records, 30, rates=rates) == others


def test_parked_jobs_keep_their_order_over_a_worker_that_lacks_one_of_the_types(redis: Redis) -> None:
    parked = park(redis, build_records(redis))
    partly = Records(redis, "partly", LIFETIMES, codes=dict.fromkeys("ac", "0" * 12))
    assert take(partly, 20) == [id for number, id in enumerate(parked) if number % 3 != 1]
    assert take(build_records(redis), 20) == parked[1::3]


def test_a_rated_job_that_holds_a_slot_lets_others_go_on_and_passes_the_slot_on_when_it_ends(
    redis: Redis, records: Records
) -> None:
    limit = RateLimit("key", 1)
    enqueue(redis, 1, "a")
    limited = enqueue(redis, 2, "a", rate_limit=limit)
    others = enqueue(redis, 2, "plain")
    rates = {"a": (1, HOUR_US)}
    assert take(records, 10, rates=rates)[1:] == others
    (execution,) = exchange(records, 10).executions  # its time has come
    assert execution.job_id == limited[0]
    send_report(records, "finished", execution)
    assert take(records, 10) == [limited[1]]
