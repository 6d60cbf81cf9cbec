"""Jobs that a worker can't run and another may: their type is unknown to it, or their payload does not fit its code."""

import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from redis import Redis
from rq import Queue

from errand.redis.lua.loader import read_script
from errand.store.fields import CallBuilder
from errand.store.new_job import NewJob
from errand.store.settings import QueueSettings
from errand.worker.execution import Execution
from errand.worker.maintenance.parked import ParkedJobs
from errand.worker.records import Exchange, Records
from errand.worker.report import Report
from errand.worker.served import ServedQueues
from errand.worker.types import WorkerTypes
from tests.support.job_types import TALLY
from tests.worker.scripts import LIFETIMES, list_held, read

OLD, NEW, THIRD = "0" * 12, "1" * 12, "2" * 12
PARKED = "errand:parked:default:tally:"
numbers = iter(range(10**9))


class Worker:
    """A worker's scripts, and the types that it has published."""

    def __init__(self, redis: Redis, name: str, queues: tuple[str, ...] = ("default",), **codes: str) -> None:
        self._queues = queues
        redis.sadd("rq:workers", f"rq:worker:{name}")
        redis.hset(f"rq:worker:{name}", mapping={"state": "idle", "queues": ",".join(queues)})
        self.types = WorkerTypes(redis, name, codes, 60)
        self.types.publish()
        self.records = Records(redis, name, LIFETIMES, codes=codes)

    def exchange(self, want: int = 4, rates: Any = ()) -> Exchange:
        executions = [f"e{next(numbers)}" for _ in range(want)]
        return self.records.exchange([], executions, ServedQueues(list(self._queues), in_turn=False, rates=rates))

    def take(self, want: int = 4, rates: Any = ()) -> list[Execution]:
        return self.exchange(want, rates).executions

    def send_report(self, kind: str, execution: Execution) -> str:
        error = json.dumps({"type": "InvalidPayloadError", "message": "number: Field required"})
        (answer,) = self.records.exchange([Report(kind, execution, "", error, 0.0, time.time())]).answers
        return answer


def store(redis: Redis, settings: QueueSettings, count: int = 1, **options: Any) -> list[str]:
    """Store jobs of the type tally, as the API does; return their ids."""
    builder = CallBuilder(settings, {"tally": TALLY})
    jobs = [
        NewJob(TALLY, {"number": number}, created_at=datetime.now(UTC), **options) for number in range(count)
    ]  # each with a time of its own, as if it were posted alone
    keys, args = builder.build(jobs)
    redis.register_script(read_script("store/enqueue"))(keys, args)
    return [job.id for job in jobs]


def store_with_rq(redis: Redis, function: str, **options: Any) -> str:
    queue = Queue("default", connection=redis, serializer="json")
    return str(queue.enqueue_call(function, kwargs={"number": 1}, **options).id)


def test_a_type_that_a_worker_lacks_waits_for_one_that_has_it(redis: Redis, queue_settings: QueueSettings) -> None:
    ids = store(redis, queue_settings, 6)
    old, new = Worker(redis, "old", log=OLD), Worker(redis, "new", log=OLD, tally=NEW)
    assert old.exchange() == Exchange([], [], [], None)
    assert redis.zrange(PARKED, 0, -1) == [id.encode() for id in ids]
    assert read(redis, ids[0], "status", "errand_attempts") == [b"queued", None]
    assert not list_held(redis)
    assert [execution.job_id for execution in (*new.take(4), *new.take(4))] == ids
    assert not redis.exists("errand:parked", PARKED)
    assert read(redis, ids[0], "status", "errand_attempts", "errand_parked") == [b"started", b"1", None]


def test_one_with_a_call_as_its_description_waits_as_well(redis: Redis) -> None:
    id = store_with_rq(redis, "jobs.tally.run.perform")
    assert not Worker(redis, "old", log=OLD).take()
    assert [execution.job_id for execution in Worker(redis, "new", tally=NEW).take()] == [id]


def test_what_is_no_job_types_is_taken_whatever_its_description(redis: Redis) -> None:
    described = {"os.system": None, "jobs.log.run.perform": "nightly", "jobs.tally.run.perform": "nightly"}
    ids = [store_with_rq(redis, function, description=text) for function, text in described.items()]
    assert [execution.job_id for execution in Worker(redis, "old", log=OLD).take()] == ids


def test_one_whose_type_is_seen_in_the_payload_alone_goes_on_to_a_worker_that_has_it(redis: Redis) -> None:
    id = store_with_rq(redis, "jobs.tally.run.perform", description="nightly")
    old, new = Worker(redis, "old", log=OLD), Worker(redis, "new", tally=NEW)
    (execution,) = old.take()
    assert old.send_report("unknown:tally", execution) == "parked"
    assert not old.take()
    assert not list_held(redis)
    assert read(redis, id, "status", "errand_attempts") == [b"queued", b"0"]
    assert [execution.job_id for execution in new.take()] == [id]


def test_other_types_of_the_queue_do_not_wait(redis: Redis, queue_settings: QueueSettings) -> None:
    store(redis, queue_settings, 1200)
    other = store_with_rq(redis, "jobs.log.run.perform", description="log")
    old = Worker(redis, "old", log=OLD)
    found = [execution.job_id for _ in range(4) for execution in old.take(16)]
    assert found == [other]
    assert redis.zcard(PARKED) == 1200
    assert old.exchange(16).wait_seconds is None


def test_idle_workers_hear_of_what_is_parked_for_them(redis: Redis, queue_settings: QueueSettings) -> None:
    store(redis, queue_settings)
    old, new = Worker(redis, "old", log=OLD), Worker(redis, "new", tally=NEW)
    with redis.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe("errand:work")
        channel.get_message(timeout=1)
        old.take()
        heard = channel.get_message(timeout=1)
    assert heard is not None
    assert heard["data"] == b"default"
    assert new.take()


def test_those_for_the_front_come_first(redis: Redis, queue_settings: QueueSettings) -> None:
    ids = store(redis, queue_settings, 3)
    old = Worker(redis, "old", log=OLD)
    old.take()
    front = store(redis, queue_settings, 2, at_front=True)
    old.take()
    assert [execution.job_id for execution in Worker(redis, "new", tally=NEW).take(5)] == [*front[::-1], *ids]


def test_a_rate_holds_for_what_was_parked(redis: Redis, queue_settings: QueueSettings) -> None:
    store(redis, queue_settings, 3)
    Worker(redis, "old", log=OLD).take()
    new = Worker(redis, "new", tally=NEW)
    found = new.exchange(3, rates=("tally", 1, 60_000_000))
    assert len(found.executions) == 1
    assert found.wait_seconds is not None
    assert found.wait_seconds > 50


def test_a_worker_leaves_rated_jobs_whose_type_it_lacks(redis: Redis, queue_settings: QueueSettings) -> None:
    store(redis, queue_settings, 3)
    Worker(redis, "new", tally=NEW).take(3, rates=("tally", 1, 60_000_000))
    old = Worker(redis, "old", log=OLD)
    assert old.exchange() == Exchange([], [], [], None)
    assert redis.zcard("errand:rated:default:tally") == 2


def refuse(worker: Worker) -> str:
    """Take one job and refuse its payload; return the answer."""
    (execution,) = worker.take(1)
    return worker.send_report("refused", execution)


def test_a_refused_payload_waits_for_other_code_and_costs_nothing(redis: Redis, queue_settings: QueueSettings) -> None:
    (id,) = store(redis, queue_settings)
    old, new = Worker(redis, "old", tally=OLD), Worker(redis, "new", tally=NEW)
    before = read(redis, id, "retries_left")
    assert refuse(old) == "parked"
    assert not old.take()
    assert read(redis, id, "status", "errand_attempts") == [b"queued", b"0"]
    assert read(redis, id, "retries_left") == before
    (execution,) = new.take()
    assert new.send_report("finished", execution) == "finished"
    assert not redis.keys("errand:parked*")


def test_it_fails_once_every_live_code_has_refused_it(redis: Redis, queue_settings: QueueSettings) -> None:
    (id,) = store(redis, queue_settings)
    workers = [Worker(redis, code, tally=code) for code in (OLD, NEW, THIRD)]
    assert [refuse(worker) for worker in workers] == ["parked", "parked", "failed"]
    assert not any(worker.take() for worker in workers)
    assert redis.zscore("rq:failed:default", id)
    assert not redis.keys("errand:parked*")


def test_another_worker_with_the_same_code_is_not_waited_for(redis: Redis, queue_settings: QueueSettings) -> None:
    store(redis, queue_settings)
    one, _ = Worker(redis, "one", tally=OLD), Worker(redis, "other", tally=OLD)
    assert refuse(one) == "failed"


@pytest.mark.parametrize(
    "other", [{"log": NEW}, {"queues": ("log",), "tally": NEW}], ids=["without the type", "of another queue"]
)
def test_a_worker_that_would_not_take_it_is_not_waited_for(
    redis: Redis, queue_settings: QueueSettings, other: dict[str, Any]
) -> None:
    store(redis, queue_settings)
    old, _ = Worker(redis, "old", tally=OLD), Worker(redis, "other", **other)
    assert refuse(old) == "failed"


def test_a_payload_of_a_newer_api_waits_for_a_worker_like_it(redis: Redis, queue_settings: QueueSettings) -> None:
    (id,) = store(redis, queue_settings)
    old = Worker(redis, "old", tally=OLD)
    note_posted(redis, tally=OLD)
    note_posted(redis, tally=NEW)
    assert refuse(old) == "parked"
    look(redis)
    assert not old.take()
    assert [execution.job_id for execution in Worker(redis, "new", tally=NEW).take()] == [id]


def note_posted(redis: Redis, **codes: str) -> None:
    script = redis.register_script(read_script("store/posted_code"))
    script(args=[60, *(f"{type}={code}" for type, code in codes.items())])


def test_an_api_that_has_gone_for_a_minute_is_not_waited_for(redis: Redis, queue_settings: QueueSettings) -> None:
    store(redis, queue_settings)
    old = Worker(redis, "old", tally=OLD)
    redis.zadd("errand:posted", {f"tally={NEW}": time.time() - 1})
    assert refuse(old) == "failed"
    note_posted(redis, tally=OLD)
    assert redis.zrange("errand:posted", 0, -1) == [f"tally={OLD}".encode()]


def test_it_fails_when_the_last_worker_with_other_code_has_gone(redis: Redis, queue_settings: QueueSettings) -> None:
    ids = store(redis, queue_settings, 3)
    old, new = Worker(redis, "old", tally=OLD), Worker(redis, "new", tally=NEW)
    assert [refuse(old) for _ in ids] == ["parked"] * 3
    look(redis)
    assert not old.take()
    new.types.withdraw()
    look(redis)
    executions = old.take()
    assert [execution.job_id for execution in executions] == ids
    assert {old.send_report("refused", execution) for execution in executions} == {"failed"}


def look(redis: Redis) -> None:
    ParkedJobs(redis).run()


def test_one_that_comes_back_from_its_taker_waits_for_it_again(redis: Redis, queue_settings: QueueSettings) -> None:
    (id,) = store(redis, queue_settings)
    old, new = Worker(redis, "old", tally=OLD), Worker(redis, "new", tally=NEW)
    refuse(old)
    new.take()
    new.records.leases.release("interrupted")
    assert refuse(old) == "parked"
    assert [execution.job_id for execution in new.take()] == [id]


def test_a_stop_that_was_asked_for_ends_one_that_is_refused(redis: Redis, queue_settings: QueueSettings) -> None:
    (id,) = store(redis, queue_settings)
    old, _ = Worker(redis, "old", tally=OLD), Worker(redis, "new", tally=NEW)
    (execution,) = old.take()
    redis.hset(f"rq:job:{id}", "errand_stop", execution.id)
    assert old.send_report("refused", execution) == "stopped"


def test_they_are_logged_once_a_minute(
    redis: Redis, queue_settings: QueueSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    store(redis, queue_settings, 3)
    look(redis)
    Worker(redis, "old", log=OLD).take()
    look(redis)
    look(redis)
    assert caplog.messages == ["Queue default: 3 of tally wait: no worker knows this type"]
    assert 50 < redis.ttl("errand:parked-told") <= 60


def test_a_renewed_worker_keeps_its_types(redis: Redis) -> None:
    worker = Worker(redis, "old", log=OLD)
    redis.expire("errand:types:old", 5)
    worker.records.leases.renew()
    assert redis.ttl("errand:types:old") > 5


def test_a_type_that_all_workers_have_costs_no_command_more(redis: Redis, queue_settings: QueueSettings) -> None:
    def count(worker: Worker) -> int:
        store(redis, queue_settings, 4)
        before = redis.info("commandstats")
        assert len(worker.take(4)) == 4
        after = redis.info("commandstats")
        return sum(after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after)

    any_type, knowing = Worker(redis, "any"), Worker(redis, "knowing", tally=OLD)
    any_type.records = Records(redis, "any", LIFETIMES)
    count(any_type), count(knowing)  # the scripts are loaded
    assert count(any_type) == count(knowing)
