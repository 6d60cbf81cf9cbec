"""Pausing a queue."""

import time

import pytest
from redis import Redis
from rq import Queue

from errand.worker.records import Records
from tests.support.services import Services
from tests.support.waiting import wait_until
from tests.worker.scripts import ask, enqueue


def fill(redis: Redis, *names: str) -> None:
    for name in names:
        enqueue(Queue(name, connection=redis, serializer="json"), 2)


def list_queues(records: Records, *names: str, first: int = 1) -> list[str]:
    """Take four jobs of queues that are served in turn; return whose they are."""
    exchange = ask(records, ["e1", "e2", "e3", "e4"], names=names, in_turn=True, first=first)
    return [execution.queue for execution in exchange.executions]


def test_a_paused_queue_is_passed_over(redis: Redis, records: Records) -> None:
    fill(redis, "a", "b", "c")
    redis.sadd("errand:paused", "b")
    assert list_queues(records, "a", "b", "c") == ["a", "c", "a", "c"]
    assert redis.llen("rq:queue:b") == 2


def test_the_queue_after_a_paused_one_is_served_next(redis: Redis, records: Records) -> None:
    fill(redis, "a", "b", "c")
    redis.sadd("errand:paused", "a")
    assert list_queues(records, "a", "b", "c", first=3) == ["c", "b", "c", "b"]
    fill(redis, "a", "b", "c")
    redis.sadd("errand:paused", "c")
    assert list_queues(records, "a", "b", "c", first=3) == ["b", "b"]


def test_nothing_is_taken_while_all_are_paused(redis: Redis, records: Records) -> None:
    fill(redis, "a")
    redis.sadd("errand:paused", "a")
    assert list_queues(records, "a") == []


def test_workers_obey_and_running_jobs_finish(services: Services, redis: Redis) -> None:
    services.start_api()
    for _ in range(2):
        services.start_worker()
    running = services.post("sleep", {"seconds": 3})
    services.wait_for(running, "started")
    paused = services.call("POST", "/v1/queues/default/pause").body
    assert (paused["paused"], paused["state"], paused["jobs"]["started"]) == (True, "draining", 1)
    waiting = [services.post("echo", {"value": number}) for number in range(5)]
    log = services.post("log", {"text": "another queue"})
    assert services.wait_for(log)["status"] == "finished"
    assert services.wait_for(running)["status"] == "finished"
    wait_until(lambda: services.call("GET", "/v1/queues/default").body["state"] == "drained")
    time.sleep(1)
    assert [services.read(id)["status"] for id in waiting] == ["queued"] * 5
    assert services.call("POST", "/v1/queues/default/resume").body["state"] == "active"
    assert all(services.wait_for(id, timeout_seconds=2)["status"] == "finished" for id in waiting)


@pytest.mark.quick
def test_a_pause_outlives_the_workers(services: Services, redis: Redis) -> None:
    services.start_api()
    services.call("POST", "/v1/queues/default/pause")
    id = services.post("echo")
    assert services.start_worker("--burst").wait(30) == 0
    assert services.read(id)["status"] == "queued"


def test_a_delayed_job_that_comes_due_waits_for_the_resume(services: Services, redis: Redis) -> None:
    services.start_api()
    services.start_worker()
    services.call("POST", "/v1/queues/default/pause")
    id = services.post("echo", query="?delay_seconds=1")
    services.wait_for(id, "queued")
    services.call("POST", "/v1/queues/default/resume")
    assert services.wait_for(id)["status"] == "finished"


def test_an_idle_worker_of_a_paused_queue_does_not_spin(services: Services, redis: Redis) -> None:
    services.start_api()
    services.start_worker("default")
    wait_until(lambda: redis.scard("rq:workers") == 1)
    services.call("POST", "/v1/queues/default/pause")
    for _ in range(20):
        services.post("echo")
    wait_until(lambda: redis.exists("errand:tally-folded"))  # the first chores load their scripts
    time.sleep(1)
    before = redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    time.sleep(1)
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] - before < 25
