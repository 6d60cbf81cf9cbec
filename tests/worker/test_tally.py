"""Counts of ends: by type, how long a job waited and ran, and how it ended; each end once."""

import time
from collections import Counter

import pytest
from redis import Redis
from rq import Queue, Retry

from errand.redis import keys
from errand.redis.lua.loader import read_script
from errand.worker.count_tags import tag_end
from errand.worker.execution import Execution, JobTimes
from errand.worker.records import Records
from errand.worker.report import Report
from tests.worker.scripts import LIFETIMES, end_leases, enqueue, send_report, take


def count(redis: Redis) -> Counter[str]:
    """Return the counts of all minutes: a test may run over the end of one."""
    counts: Counter[str] = Counter()
    for key in redis.keys(f"{keys.TALLY}*"):
        counts.update({field.decode(): int(many) for field, many in redis.hgetall(key).items()})
    return counts


def count_fates(redis: Redis) -> dict[str, int]:
    return {field.split("|")[3]: many for field, many in count(redis).items() if field.count("|") == 3}


def test_each_end_is_counted_as_what_was_recorded(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue, 3, retry=Retry(1))
    for kind, execution in zip(("finished", "failed", "stopped"), take(records, 3), strict=True):
        send_report(records, kind, execution)
    send_report(records, "failed", take(records, 1, "again")[0])
    assert count_fates(redis) == {"finished": 1, "retried": 1, "stopped": 1, "failed": 1}


def test_an_end_that_is_reported_again_or_too_late_counts_once(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue)
    (execution,) = take(records)
    assert [send_report(records, "finished", execution) for _ in range(2)] == ["finished", "late"]
    assert count_fates(redis) == {"finished": 1}


def test_what_is_handed_back_counts_as_no_end_of_a_job(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue)
    take(records)
    records.leases.release("interrupted")
    for number in range(3):
        take(records, 1, f"loss{number}")
        end_leases(redis)
        records.leases.recover()
    assert count(redis) == {"x|||interrupted": 1, "x|||lost": 2, "x|||dead": 1}


@pytest.mark.parametrize("description", ["x", "jobs.x.run.perform(text='secret')"])
def test_a_cancel_counts(redis: Redis, queue: Queue, description: str) -> None:
    (id,) = enqueue(queue)
    redis.hset(f"rq:job:{id}", "description", description)
    redis.register_script(read_script("store/cancel"))(args=[60, "token", id])
    assert count(redis) == {"x|||canceled": 1}


def test_how_long_it_waited_and_ran_is_added_up(redis: Redis, queue: Queue, records: Records) -> None:
    enqueue(queue)
    (execution,) = take(records)
    times = JobTimes(enqueued_at="2026-01-01T00:00:00Z")
    execution = execution._replace(started=execution.started - 3, times=times, description="x")
    records.exchange([Report("finished", execution, ended=execution.started + 3)])
    counts, last = count(redis), len(keys.TALLY_BOUNDS)
    assert counts[f"x|{last}|9|finished"] == 1
    assert counts["x|r"] == pytest.approx(3_000_000, abs=2)
    assert counts["x|w"] > 1_000_000


@pytest.mark.parametrize(
    ("description", "tag"),
    [
        ("log", "log"),
        ("jobs.log.run.perform(text='secret')", "log"),
        ("unheard_of", "other"),
        ("os.system('secret')", "other"),
    ],
)
def test_only_types_that_the_worker_has_are_counted_by_name(description: str, tag: str) -> None:
    execution = Execution("a", "b", "default", b"", 60, "", "", description, 0, "", time.time())
    assert tag_end(execution, execution.started, {"log": "code"})[0] == f"{tag}|0|0"


def test_a_bound_belongs_to_what_it_bounds() -> None:
    execution = Execution("a", "b", "default", b"", 60, "", "", "log", 0, "", 1.0)
    runs = [tag_end(execution, 1.0 + seconds, None)[0] for seconds in (0.0, 1.0, 1.1, 10**6)]
    assert runs == [f"log|0|{place}" for place in (0, 7, 8, len(keys.TALLY_BOUNDS))]


def test_types_and_codes_of_a_worker_are_kept_apart(redis: Redis, queue: Queue) -> None:
    enqueue(queue)
    records = Records(redis, "one", LIFETIMES, codes={"y": "c" * 12})
    redis.hset(queue.connection.keys("rq:job:*")[0], "description", "y")
    (execution,) = take(records)
    send_report(records, "finished", execution)
    assert [field.split("|")[0] for field in count(redis)] == ["y"] * 3
