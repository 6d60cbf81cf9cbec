"""Deleting, canceling and queueing jobs again: what is said of a job, and what is asked of the scripts."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from errand.redis import keys
from errand.redis.memory import FullRedisError, MemoryGuard
from errand.store.bulk import dependents
from errand.store.bulk.dependents import Settler
from errand.store.cancel import Canceller, CancelRefusedError
from errand.store.delete import Deleter, DeleteRefusedError
from errand.store.enqueue import Enqueuer
from errand.store.new_job import NewJob
from errand.store.requeue import EditedPayload, Requeuer, build_args
from errand.store.settings import QueueSettings
from tests.support.connectors import connect
from tests.support.job_types import LOG, TYPES

NOBODY = "5f0c7d1e-0000-4000-8000-000000000000"

Use = Callable[[Callable[[AsyncRedis], Awaitable[Any]]], Any]


@pytest.fixture
def use(queue_settings: QueueSettings) -> Use:
    """Call something with a client inside an event loop of its own."""

    def run(call: Callable[[AsyncRedis], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            async with connect(queue_settings.redis_url) as redis:
                return await call(redis)

        return asyncio.run(main())

    return run


@pytest.fixture
def id(use: Use, queue_settings: QueueSettings) -> str:
    """A job that is queued."""
    new = NewJob(LOG, {"text": "x"})
    use(lambda redis: Enqueuer(redis, queue_settings, TYPES).store([new]))
    return new.id


@pytest.fixture
def answering() -> Callable[..., Mock]:
    """Builds a client whose script gives these answers, one a call."""
    return lambda *answers: Mock(register_script=Mock(return_value=AsyncMock(side_effect=answers)))


def read_calls(redis: Mock) -> list[list[Any]]:
    return [call.kwargs["args"] for call in redis.register_script.return_value.call_args_list]


def test_a_job_is_deleted_once(redis: Redis, use: Use, queue_settings: QueueSettings, id: str) -> None:
    def delete(id: str) -> bool:
        found: bool = use(lambda client: Deleter(client, queue_settings).delete(id))
        return found

    assert [delete(id), delete(id), delete(NOBODY)] == [True, False, False]
    assert not redis.exists(keys.JOB + id)


def test_a_job_that_the_script_refuses_is_not_deleted_and_the_text_says_why(
    answering: Callable[..., Mock], queue_settings: QueueSettings
) -> None:
    with pytest.raises(DeleteRefusedError, match="it runs"):
        asyncio.run(Deleter(answering([0, b"it runs"]), queue_settings).delete("a"))


def test_jobs_are_deleted_as_the_script_is_asked(answering: Callable[..., Mock], queue_settings: QueueSettings) -> None:
    redis = answering([0, b"", None])
    deleter = Deleter(redis, queue_settings)
    assert asyncio.run(deleter.delete_all(["a", "b"], ["failed"], "registry")) == [b"", None]
    ((said, *ids),) = read_calls(redis)
    request = json.loads(said)
    assert ids == ["a", "b"]
    assert request.pop("token")
    assert request == {
        "failure_seconds": queue_settings.failure_ttl_seconds,
        "statuses": {"failed": True},
        "registry": "registry",
    }


def test_without_statuses_and_a_registry_the_script_is_asked_for_none(
    answering: Callable[..., Mock], queue_settings: QueueSettings
) -> None:
    redis = answering([0, b""])
    asyncio.run(Deleter(redis, queue_settings).delete_all(["a"]))
    assert json.loads(read_calls(redis)[0][0]).keys() == {"failure_seconds", "token"}


def test_what_a_step_leaves_is_deleted_and_canceled_in_the_next_ones(
    answering: Callable[..., Mock], queue_settings: QueueSettings
) -> None:
    deleting, canceling = answering([0, b""], [0, b"", b""]), answering([0, b"canceled"], [0, b" no", None])
    assert asyncio.run(Deleter(deleting, queue_settings).delete_all(["a", "b", "c"])) == [b""] * 3
    assert [call[1:] for call in read_calls(deleting)] == [["a", "b", "c"], ["b", "c"]]
    canceller = Canceller(canceling, queue_settings)
    assert asyncio.run(canceller.cancel_all(["a", "b", "c"], "token")) == [b"", b"no", None]
    kept = queue_settings.failure_ttl_seconds
    assert read_calls(canceling) == [[kept, "token", "a", "b", "c"], [kept, "token", "b", "c"]]


@pytest.mark.parametrize("are_left", [0, 1])
def test_what_a_step_leaves_of_dependents_is_gone_on_with(
    answering: Callable[..., Mock], queue_settings: QueueSettings, monkeypatch: pytest.MonkeyPatch, are_left: int
) -> None:
    go_on = AsyncMock()
    monkeypatch.setattr(Settler, "go_on", go_on)
    asyncio.run(Deleter(answering([are_left, b""]), queue_settings).delete_all(["a"]))
    asyncio.run(Canceller(answering([are_left, b"canceled"]), queue_settings).cancel_all(["a"], "token"))
    assert go_on.call_count == 2 * are_left


def test_dependents_are_settled_until_none_is_left(
    answering: Callable[..., Mock], queue_settings: QueueSettings
) -> None:
    redis = answering(1, 1, 0, 1)
    asyncio.run(Settler(redis, queue_settings).go_on())
    assert read_calls(redis) == [[queue_settings.failure_ttl_seconds]] * 3


def test_dependents_are_settled_for_a_second_at_most(
    answering: Callable[..., Mock], queue_settings: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependents, "GO_ON_SECONDS", 0)
    redis = answering(1, 0)
    asyncio.run(Settler(redis, queue_settings).go_on())
    assert len(read_calls(redis)) <= 1


def test_a_job_that_has_ended_is_not_canceled_and_one_that_waits_is(
    redis: Redis, use: Use, queue_settings: QueueSettings, id: str
) -> None:
    def cancel(id: str) -> Any:
        return use(lambda client: Canceller(client, queue_settings).cancel(id, "token"))

    assert [cancel(id), cancel(NOBODY)] == ["canceled", None]
    redis.hset(keys.JOB + id, "status", "finished")
    with pytest.raises(CancelRefusedError, match=r"^[^ ]"):
        cancel(id)


@pytest.mark.parametrize("call", ["store", "requeue", "requeue_all", "requeue_failed"])
def test_nothing_is_stored_or_queued_again_where_redis_is_full(
    redis: Redis,
    use: Use,
    queue_settings: QueueSettings,
    monkeypatch: pytest.MonkeyPatch,
    id: str,
    call: str,
) -> None:
    redis.hset(keys.JOB + id, "status", "failed")
    redis.zadd(keys.FAILED + "log", {id: 1})
    before = {key: redis.dump(key) for key in redis.scan_iter()}
    monkeypatch.setattr(MemoryGuard, "check", AsyncMock(side_effect=FullRedisError("full")))

    async def ask(client: AsyncRedis) -> None:
        requeuer = Requeuer(client, MemoryGuard(client))
        if call == "store":
            await Enqueuer(client, queue_settings, TYPES).store([NewJob(LOG, {"text": "x"})])
        elif call == "requeue":
            await requeuer.requeue(id)
        elif call == "requeue_all":
            await requeuer.requeue_all([id], "token")
        else:
            await anext(requeuer.requeue_failed("log"))

    with pytest.raises(FullRedisError):
        use(ask)
    assert {key: redis.dump(key) for key in redis.scan_iter()} == before


def test_what_is_queued_again_is_described_for_the_script() -> None:
    said, *more = build_args(["a", b"b"], ["failed"])
    plain = json.loads(str(said))
    assert plain.pop("token")
    assert (plain, more) == ({"statuses": {"failed": True}, "undone": False}, ["a", b"b"])

    edit = EditedPayload(b"new", b"old", [("x", 1), ("x", 1), ("y", 2)], "holder")
    said, *more = build_args(["a"], ["failed", "stopped"], "registry", "token", undone=True, edit=edit)
    assert more == ["a", b"new", b"old"]
    assert json.loads(str(said)) == {
        "statuses": {"failed": True, "stopped": True},
        "token": "token",
        "undone": True,
        "registry": "registry",
        "edit": {"bodies": {"holder": "holder", "all": [["x", 1], ["y", 2]]}, "payload": "b2xk"},
    }
    assert EditedPayload(b"new", b"old").describe()["bodies"] == {"holder": "", "all": []}


def test_a_job_by_its_own_is_queued_again_where_a_part_of_its_work_is_undone_and_many_are_not(
    answering: Callable[..., Mock],
) -> None:
    redis = answering([b""], [b""], [None])
    requeuer = Requeuer(redis, AsyncMock())
    assert asyncio.run(requeuer.requeue("a")) is True
    asyncio.run(requeuer.requeue_all(["a"], "token"))
    assert asyncio.run(requeuer.requeue("a")) is False
    asked = [json.loads(said) for said, _ in read_calls(redis)]
    assert [request["undone"] for request in asked] == [True, False, True]
    assert [list(request["statuses"]) for request in asked][:2] == [list(keys.ENDED_BADLY), ["failed"]]
    assert asked[1]["token"] == "token"
