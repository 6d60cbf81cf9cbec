"""Ends with more dependents than one script may settle: the rest is noted, and comes to the same end."""

import json
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from starlette.testclient import TestClient

from errand.redis import keys
from errand.store.bulk import dependents
from errand.worker.maintenance.dependents import Settling
from errand.worker.records import Records
from tests.api.test_workflows import Node, drain, graphs, post, predict, read_status, run_one
from tests.worker.scripts import build_records, end_leases, take
from tests.worker.test_webhooks import build_with_webhooks, hook, list_sent

LIMIT, MANY = 2, 7
BADLY = (("cancel", "canceled"), ("run", "queued"), ("wait", "deferred"))


@pytest.fixture(autouse=True)
def _few_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step settles two, and the API leaves the rest to the workers."""
    monkeypatch.setattr(keys, "SETTLED_AT_ONCE", LIMIT)
    monkeypatch.setattr(dependents, "GO_ON_SECONDS", 0.0)


@pytest.fixture
def records(redis: Redis) -> Records:
    return build_records(redis)


def settle_all(records: Records) -> int:
    """Settle all that is noted; return how many steps that took."""
    steps = 1
    while records.settle():
        steps += 1
        assert steps < 1000
    return steps


def list_notes(redis: Redis) -> list[str]:
    return [name.decode() for name in redis.keys("errand:settling*")]


def post_many(
    client: TestClient, parent: str, count: int = MANY, on_failure: str = "cancel", more: str = ""
) -> list[str]:
    query = f"/v1/batches/tally?after={parent}&on_failure={on_failure}{more}"
    answer = client.post(query, json={"items": [{"number": 1}] * count})
    assert answer.status_code == 202, answer.text
    return [job["id"] for job in answer.json()["jobs"]]


def count(client: TestClient, ids: list[str], status: str) -> int:
    return [read_status(client, id) for id in ids].count(status)


def by_cancel(client: TestClient, records: Records, id: str) -> None:
    assert client.post(f"/v1/jobs/{id}/cancel").status_code == 200


def by_delete(client: TestClient, records: Records, id: str) -> None:
    assert client.delete(f"/v1/jobs/{id}").status_code == 204


def by_finish(client: TestClient, records: Records, id: str) -> None:
    run_one(records, id, "finished")


def by_failure(client: TestClient, records: Records, id: str) -> None:
    run_one(records, id, "permanent")


def by_stop(client: TestClient, records: Records, id: str) -> None:
    run_one(records, id, "stopped")


def by_losses(client: TestClient, records: Records, id: str) -> None:
    for _ in range(keys.LOST_LIMIT):
        (execution,) = take(records)
        assert execution.job_id == id
        end_leases(records.redis)
        records.leases.recover()


def by_expiry(client: TestClient, records: Records, id: str) -> None:
    records.redis.zadd(keys.EXPIRES, {id: 1})
    records.expire(0, 100, 1000)


FATES = [
    *((end, word, fate) for end in (by_cancel, by_failure, by_stop, by_losses, by_expiry) for word, fate in BADLY),
    *((by_delete, word, fate) for word, fate in (("cancel", "canceled"), ("run", "queued"), ("wait", "canceled"))),
    *((by_finish, word, "queued") for word in ("cancel", "run", "wait")),
]


@pytest.mark.parametrize(("end", "on_failure", "fate"), FATES, ids=lambda value: getattr(value, "__name__", value))
def test_many_dependents_come_to_the_end_that_few_do(
    client: TestClient, redis: Redis, records: Records, end: Callable[..., None], on_failure: str, fate: str
) -> None:
    parent = post(client)
    children = post_many(client, parent, on_failure=on_failure)
    end(client, records, parent)
    assert count(client, children, "deferred") >= MANY - LIMIT
    assert redis.zcard(keys.SETTLING) == 1
    assert settle_all(records) > 1
    assert count(client, children, fate) == MANY
    assert list_notes(redis) == []
    assert redis.zcard("rq:deferred:default") == (MANY if fate == "deferred" else 0)


@pytest.mark.parametrize("end", [by_cancel, by_failure])
def test_the_status_shows_how_many_are_left_until_none_are(
    client: TestClient, records: Records, end: Callable[..., None]
) -> None:
    parent = post(client)
    children = post_many(client, parent)
    end(client, records, parent)
    left = count(client, children, "deferred")
    assert client.get(f"/v1/jobs/{parent}").json()["dependents_pending"] == left > 0
    records.settle()
    assert client.get(f"/v1/jobs/{parent}").json()["dependents_pending"] < left
    settle_all(records)
    assert "dependents_pending" not in client.get(f"/v1/jobs/{parent}").json()


def test_the_answer_to_a_cancel_shows_how_many_are_left(client: TestClient) -> None:
    parent = post(client)
    children = post_many(client, parent)
    job = client.post(f"/v1/jobs/{parent}/cancel").json()
    assert job["dependents_pending"] == count(client, children, "deferred")


def test_the_request_goes_on_by_itself(client: TestClient, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependents, "GO_ON_SECONDS", 20.0)
    parent = post(client)
    children = post_many(client, parent)
    client.post(f"/v1/jobs/{parent}/cancel")
    assert count(client, children, "canceled") == MANY
    assert list_notes(redis) == []


def test_a_workers_chores_go_on(client: TestClient, redis: Redis, records: Records) -> None:
    parent = post(client)
    children = post_many(client, parent)
    by_cancel(client, records, parent)
    while redis.exists(keys.SETTLING):
        Settling(records).run()
    assert count(client, children, "canceled") == MANY


def test_a_chain_is_canceled_to_its_end(client: TestClient, redis: Redis, records: Records) -> None:
    ids = [post(client)]
    for _ in range(9):
        ids.append(post(client, ids[-1]))
    by_cancel(client, records, ids[0])
    assert 0 < count(client, ids, "canceled") < 10
    settle_all(records)
    assert count(client, ids, "canceled") == 10
    assert list_notes(redis) == []
    assert all(redis.ttl(f"rq:job:{id}") > 0 for id in ids)


def test_a_tree_that_is_deep_and_wide_is_canceled_to_its_leaves(
    client: TestClient, redis: Redis, records: Records
) -> None:
    root = post(client)
    inner = post_many(client, root, 3)
    leaves = [leaf for id in inner for leaf in post_many(client, id, 5)]
    runs = [run for leaf in leaves[:2] for run in post_many(client, leaf, 4, on_failure="run")]
    by_cancel(client, records, root)
    settle_all(records)
    assert count(client, inner + leaves, "canceled") == 18
    assert count(client, runs, "queued") == 8
    assert list_notes(redis) == []


def test_those_that_wait_for_a_requeue_keep_the_parent_and_run_after_it(
    client: TestClient, redis: Redis, records: Records
) -> None:
    parent = post(client)
    children = post_many(client, parent, on_failure="wait")
    by_failure(client, records, parent)
    settle_all(records)
    assert redis.ttl(f"rq:job:{parent}") == -1
    assert redis.scard(f"rq:job:{parent}:dependents") == MANY
    client.post(f"/v1/jobs/{parent}/requeue")
    by_finish(client, records, parent)
    settle_all(records)
    assert count(client, children, "queued") == MANY


@pytest.mark.parametrize(("second", "fate"), [(by_finish, "queued"), (by_failure, "deferred"), (by_delete, "canceled")])
def test_a_parent_that_ends_once_more_meanwhile_is_no_muddle(
    client: TestClient, redis: Redis, records: Records, second: Callable[..., None], fate: str
) -> None:
    parent = post(client)
    children = post_many(client, parent, on_failure="wait")
    by_failure(client, records, parent)
    client.post(f"/v1/jobs/{parent}/requeue")
    late = post_many(client, parent, on_failure="wait")
    second(client, records, parent)
    settle_all(records)
    assert count(client, children + late, fate) == 2 * MANY
    assert list_notes(redis) == []


def test_those_of_a_parent_that_expires_meanwhile_are_settled_all_the_same(
    client: TestClient, redis: Redis, records: Records
) -> None:
    parent, other = post(client), post(client)
    waiting, running = post_many(client, parent, on_failure="wait"), post_many(client, other, on_failure="run")
    for id in (parent, other):
        by_cancel(client, records, id)
        redis.delete(f"rq:job:{id}", f"rq:job:{id}:dependents", f"errand:dependents:{id}")
    settle_all(records)
    records.settle_orphans("default", 0, 100)  # those that were looked at before it expired
    assert count(client, waiting, "canceled") == count(client, running, "queued") == MANY


def test_one_whose_deleted_parent_is_noted_does_not_run_when_its_other_finishes(
    client: TestClient, records: Records
) -> None:
    deleted, other = post(client), post(client)
    children = post_many(client, deleted, more=f"&after={other}")
    by_delete(client, records, deleted)
    by_finish(client, records, other)
    assert count(client, children, "queued") == 0
    records.settle_orphans("default", 0, 100)
    assert count(client, children, "queued") == 0
    settle_all(records)
    assert count(client, children, "canceled") == MANY


def test_one_that_still_waits_for_another_runs_after_that(client: TestClient, redis: Redis, records: Records) -> None:
    parents = [post(client), post(client)]
    children = post_many(client, parents[0], on_failure="run", more=f"&after={parents[1]}")
    by_failure(client, records, parents[0])
    settle_all(records)
    assert count(client, children, "deferred") == redis.scard(f"rq:job:{parents[0]}:dependents") == MANY
    assert redis.ttl(f"rq:job:{parents[0]}:dependents") > 0
    by_finish(client, records, parents[1])
    settle_all(records)
    assert count(client, children, "queued") == MANY


def test_those_that_wait_for_a_batch_run_after_its_last_job(client: TestClient, records: Records) -> None:
    batch = client.post("/v1/batches/tally", json={"items": [{"number": 1}] * 3}).json()
    children = post_many(client, batch["id"])
    for job in batch["jobs"]:
        assert count(client, children, "queued") == 0
        by_finish(client, records, job["id"])
        settle_all(records)
    assert count(client, children, "queued") == MANY


def test_the_counts_of_their_batch_are_right_at_the_end(client: TestClient, records: Records) -> None:
    parent = post(client)
    query = f"/v1/batches/tally?after={parent}"
    batch = client.post(query, json={"items": [{"number": 1}] * MANY}).json()["id"]
    by_cancel(client, records, parent)
    settle_all(records)
    shown = client.get(f"/v1/batches/{batch}").json()
    assert (shown["canceled"], shown["total"], shown["percent"]) == (MANY, MANY, 100)


def test_each_has_an_event_and_a_webhook_and_is_counted_once(client: TestClient, redis: Redis) -> None:
    records = build_with_webhooks(redis)
    parent = post(client)
    children = post_many(client, parent)
    hook(redis, *children)
    with redis.pubsub() as listener:
        listener.subscribe(keys.EVENTS)
        by_failure(client, records, parent)
        settle_all(records)
        heard: list[str] = []
        while (message := listener.get_message(timeout=0.2)) is not None:
            heard += message["data"].decode().split() if message["type"] == "message" else []
    assert sorted(id for id in heard if id in children) == sorted(children)
    sent = [json.dumps(one) for one in list_sent(redis)]
    assert [sum(f'"{child}"' in text for text in sent) for child in children] == [1] * MANY
    minutes = redis.keys("errand:tally:*")  # two where one ended meanwhile
    assert sum(int(redis.hget(minute, "tally|||canceled") or 0) for minute in minutes) == MANY


def test_a_damaged_one_holds_up_no_other(client: TestClient, redis: Redis, records: Records) -> None:
    parent = post(client)
    children = post_many(client, parent)
    redis.delete(f"rq:job:{children[0]}", f"rq:job:{children[1]}", f"rq:job::{children[2]}:dependencies")
    redis.set(f"rq:job:{children[0]}", "no hash")
    redis.set(f"rq:job::{children[2]}:dependencies", "no set")
    by_cancel(client, records, parent)
    settle_all(records)
    assert count(client, children[3:], "canceled") == MANY - 3


def test_a_note_that_is_none_holds_up_no_other(client: TestClient, redis: Redis, records: Records) -> None:
    redis.zadd(keys.SETTLING, {"canceled:gone": 0, "nonsense": 1, "failed:nothing": 2})
    redis.set(f"{keys.SETTLING_JOBS}canceled:gone", "no set")
    parent = post(client)
    children = post_many(client, parent)
    by_cancel(client, records, parent)
    settle_all(records)
    assert count(client, children, "canceled") == MANY


def test_those_under_a_concurrency_key_get_its_slots(client: TestClient, records: Records) -> None:
    parent = post(client)
    children = post_many(client, parent, on_failure="run", more="&concurrency_key=k&concurrency=3")
    by_cancel(client, records, parent)
    settle_all(records)
    assert (count(client, children, "queued"), count(client, children, "rate_limited")) == (3, MANY - 3)


def rest(records: Records, ends: dict[str, str], reverse: bool) -> None:
    """Let jobs end and steps go on, a step after each round of ends, until nothing moves."""
    drain(records, ends, reverse)
    while records.redis.exists(keys.SETTLING):
        records.settle()
        drain(records, ends, reverse)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nodes=graphs(), reverse=st.booleans(), limit=st.integers(0, 3))
@pytest.mark.valkey
@pytest.mark.thorough
def test_any_graph_comes_to_rest_as_a_naive_model_says(
    client: TestClient, redis: Redis, nodes: list[Node], reverse: bool, limit: int
) -> None:
    redis.flushall()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "SETTLED_AT_ONCE", limit)
        records = build_records(redis)
    going_on = build_records(redis, "two")
    ids: list[str] = []
    for parents, word, _ in nodes:
        ids.append(post(client, *(ids[parent] for parent in parents), on_failure=word))
    ends = {id: end for id, (*_, end) in zip(ids, nodes, strict=True)}
    drain(records, ends, reverse)
    rest(going_on, ends, reverse)
    first = predict(nodes, ["deferred"] * len(nodes), [end for *_, end in nodes])
    assert [read_status(client, id) for id in ids] == first
    for id, status in zip(ids, first, strict=True):  # the second try of all that failed succeeds
        if status == "failed":
            assert client.post(f"/v1/jobs/{id}/requeue").status_code == 202
    rest(going_on, dict.fromkeys(ids, "finished"), reverse)
    known = ["finished" if status == "failed" else status for status in first]
    assert [read_status(client, id) for id in ids] == predict(nodes, known, ["finished"] * len(nodes))
