"""run.enqueue(…) over a real connection."""

import importlib
from contextvars import Context
from typing import Any

import pytest
from redis import Redis
from rq.job import Job as RqJob

from errand import Backoff
from jobs import log
from tests.support.job_fixtures import Perform


def fetch(id: str, redis: Redis) -> RqJob:
    return RqJob.fetch(id, connection=redis, serializer="json")


def test_outside_a_job_it_says_what_to_use_instead() -> None:
    with pytest.raises(RuntimeError) as caught:
        Context().run(log.run.enqueue, "Hello")
    assert str(caught.value) == (
        "jobs.log.run.enqueue() was called outside a job; "
        "use DurableTasks in an endpoint, store() or store_sync() elsewhere, errand.recording() in a test"
    )


def test_inside_a_job_it_is_stored_with_the_parents_lifetimes(redis: Redis, perform: Perform) -> None:
    parent = perform("parent", {"value": "Hi"}, result_ttl=111, failure_ttl=222)
    child = fetch(parent.return_value(), redis)
    assert (child.func_name, child.kwargs) == ("jobs.echo.run.perform", {"value": "Hi"})
    assert (child.result_ttl, child.failure_ttl, child.timeout) == (111, 222, 60)
    assert (child.origin, child.description) == ("default", "echo")


def test_inside_a_job_it_has_its_own_retries(redis: Redis, perform: Perform) -> None:
    child = fetch(perform("parent", {"value": "Hi"}).return_value(), redis)
    assert child.retries_left == 4
    assert child.retry_intervals is not None
    assert len(child.retry_intervals) == 4


def test_inside_a_job_it_waits_in_its_queue_for_any_worker(redis: Redis, perform: Perform) -> None:
    id = perform("parent", {"value": "Hi"}).return_value()
    assert redis.lrange("rq:queue:default", 0, -1) == [id.encode()]
    assert redis.sismember("rq:queues", "rq:queue:default")


def test_idle_workers_hear_of_it(redis: Redis, perform: Perform) -> None:
    with redis.pubsub() as heard:
        heard.subscribe("errand:work")
        heard.get_message(timeout=5)
        perform("parent", {"value": "Hi"})
        assert heard.get_message(timeout=5)["data"] == b"default"


def test_inside_a_job_it_is_listed_by_its_time_of_creation(redis: Redis, perform: Perform) -> None:
    child = fetch(perform("parent", {"value": "Hi"}).return_value(), redis)
    created_us = round(child.created_at.timestamp() * 1_000_000)
    assert redis.zrange("errand:index:default:echo", 0, -1, withscores=True) == [(child.id.encode(), created_us)]
    assert redis.zrange("errand:indexes", 0, -1) == [b"errand:index:default:echo"]


def test_listing_and_waking_are_one_round_trip(redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch) -> None:
    perform("parent", {"value": "Hi"})
    send, sent = Redis.execute_command, []

    def note(self: Redis, *args: Any, **options: Any) -> Any:
        sent.append(args)
        return send(self, *args, **options)

    monkeypatch.setattr(Redis, "execute_command", note)
    perform("parent", {"value": "Hi"})
    assert len([args for args in sent if args[0] == "EVALSHA" and args[3:5] == ("default", "echo")]) == 1
    assert not [args for args in sent if args[0] == "PUBLISH" and args[1] == "errand:work"]


def test_a_job_whose_reply_was_lost_is_there_once(
    redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Redis.execute_command
    sent_twice = []

    def send_scripts_twice(self: Redis, *args: Any, **options: Any) -> Any:
        if args[0] == "EVALSHA" and "rq:queue:default" in args:
            send(self, *args, **options)  # it arrived; redis-py lost the answer and sends it again
            sent_twice.append(args)
        return send(self, *args, **options)

    monkeypatch.setattr(Redis, "execute_command", send_scripts_twice)
    id = perform("parent", {"value": "Hi"}).return_value()
    assert sent_twice
    assert redis.lrange("rq:queue:default", 0, -1) == [id.encode()]
    assert fetch(id, redis).get_status() == "queued"


def test_inside_a_job_it_carries_what_no_list_of_waits_can_say(
    redis: Redis, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo = importlib.import_module("jobs.echo")
    monkeypatch.setattr(echo.run, "retry", Backoff(tries=100_000, hours=1))
    child = fetch(perform("parent", {"value": "Hi"}).return_value(), redis)
    assert (child.retries_left, child.retry_intervals) == (99_999, [3600])
    assert redis.hget(child.key, "errand_backoff") == echo.run.retry.policy.encode()
