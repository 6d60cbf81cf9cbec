"""/v1/dead-letters: find, requeue and delete what has failed."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from redis import Redis
from rq import Queue, SimpleWorker
from starlette.testclient import TestClient

from errand.api.routes.dead_letters import DeletedLettersView, RequeuedLettersView
from errand.api.routes.listing import JobPage
from errand.store import dead_letters, index
from tests.support.services import Services

START = datetime(2026, 5, 1, tzinfo=UTC)


def post(client: TestClient, type: str = "log", query: str = "") -> str:
    payload = {"text": "x"} if type == "log" else {"number": 1}
    answer = client.post(f"/v1/jobs/{type}{query}", json=payload)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def fail(
    redis: Redis, id: str, second: int = 0, error: tuple[str, str] = ("ValueError", "no such thing"), **more: Any
) -> str:
    """Let a queued job have failed for good, so many seconds after the start."""
    queue = redis.hget(f"rq:job:{id}", "origin").decode()
    ended = START + timedelta(seconds=second)
    fields: dict[Any, Any] = {
        "status": "failed",
        "ended_at": ended.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "retries_left": 0,
        "errand_error": json.dumps({"type": error[0], "message": error[1]}),
    }
    redis.hset(f"rq:job:{id}", mapping=fields | more)
    redis.lrem(f"rq:queue:{queue}", 0, id)
    redis.zadd(f"rq:failed:{queue}", {id: int(ended.timestamp()) + 30 * 24 * 3600})
    return id


def list_ids(client: TestClient, query: str = "") -> list[str]:
    answer = client.get(f"/v1/dead-letters{query}")
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["items"]]


def read_statuses(client: TestClient, ids: list[str]) -> list[str]:
    """Each job's status, 404 for one that is not there."""
    return [client.get(f"/v1/jobs/{id}").json().get("status") for id in ids]


def at(second: int) -> str:
    return (START + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_newest_failure_comes_first_whenever_the_job_was_created(client: TestClient, redis: Redis) -> None:
    ids = [post(client, type) for type in ("log", "tally", "log")]
    fail(redis, ids[0], 30), fail(redis, ids[1], 10), fail(redis, ids[2], 20)
    answer = client.get("/v1/dead-letters?limit=2")
    assert [job["id"] for job in answer.json()["items"]] == [ids[0], ids[2]]
    TypeAdapter(JobPage).validate_python(answer.json(), extra="forbid")
    assert [job["id"] for job in client.get(answer.links["next"]["url"]).json()["items"]] == [ids[1]]


def test_only_what_has_failed_is_there(client: TestClient, redis: Redis) -> None:
    failed, stopped, _ = fail(redis, post(client)), fail(redis, post(client), status="stopped"), post(client)
    assert list_ids(client) == [failed]
    client.post("/v1/dead-letters/delete?all=true")
    assert read_statuses(client, [failed, stopped]) == [404, "stopped"]


def test_each_filter_counts(client: TestClient, redis: Redis) -> None:
    log = fail(redis, post(client), 10, ("SMTPServerDisconnected", "Connection unexpectedly closed"))
    tally = fail(redis, post(client, "tally"), 20, ("OSError", "[Errno 28] No space left (50 % full)"))
    assert list_ids(client, "?type=log") == list_ids(client, "?queue=log") == [log]
    assert list_ids(client, "?error=OSError") == list_ids(client, "?error=50+%25+full") == [tally]
    assert list_ids(client, "?error=Error") == list_ids(client, "?error=oserror") == []
    assert list_ids(client, f"?failed_after={at(20)}") == [tally]
    assert list_ids(client, f"?failed_before={at(20)}") == [log]
    assert list_ids(client, f"?failed_after={at(10)}&failed_before={at(21)}&queue=default") == [tally]


def test_a_failure_that_only_rq_recorded_is_found_by_its_error(client: TestClient, redis: Redis) -> None:
    queue = Queue("log", connection=redis, serializer="json")
    job = queue.enqueue("builtins.int", "x")
    SimpleWorker([queue], connection=redis, serializer="json").work(burst=True)
    fail(redis, post(client))
    assert list_ids(client, "?error=ValueError&type=" + str(job.description).replace("'", "%27")) == [job.id]
    assert list_ids(client, "?error=invalid+literal") == [job.id]
    assert client.post("/v1/dead-letters/requeue?error=invalid+literal").json()["ids"] == [job.id]


def test_requeue_takes_what_the_filter_finds_in_the_order_of_failure(client: TestClient, redis: Redis) -> None:
    ids = [fail(redis, post(client), 50 - number) for number in range(3)]
    tally = fail(redis, post(client, "tally"))
    answer = client.post("/v1/dead-letters/requeue?type=log")
    assert (answer.status_code, answer.json()) == (
        202,
        {"dry_run": False, "requeued": 3, "ids": ids[::-1], "left": []},
    )
    TypeAdapter(RequeuedLettersView).validate_python(answer.json(), extra="forbid")
    assert redis.lrange("rq:queue:log", 0, -1) == [id.encode() for id in ids[::-1]]
    assert read_statuses(client, [*ids, tally]) == ["queued"] * 3 + ["failed"]
    assert client.get(f"/v1/jobs/{ids[0]}").json()["retries_left"] > 0


def test_delete_leaves_nothing_of_a_job(client: TestClient, redis: Redis) -> None:
    before = set(redis.keys())
    ids = [fail(redis, post(client, query="?tag=red")) for _ in range(3)]
    redis.xadd(f"rq:results:{ids[0]}", {"exc_string": "x"})
    answer = client.post("/v1/dead-letters/delete?queue=log")
    assert (answer.status_code, answer.json()["deleted"], sorted(answer.json()["ids"])) == (200, 3, sorted(ids))
    TypeAdapter(DeletedLettersView).validate_python(answer.json(), extra="forbid")
    left = {key for key in set(redis.keys()) - before if b"errand:deleted:" not in key}
    assert left == {b"rq:queues", b"errand:indexes"}
    assert list_ids(client) == []


def test_jobs_that_wait_for_a_deleted_one_are_canceled(client: TestClient, redis: Redis) -> None:
    parent = post(client)
    child = post(client, "log", f"?after={parent}&on_failure=wait")
    fail(redis, parent)
    client.post("/v1/dead-letters/delete?all=true")
    assert read_statuses(client, [parent, child]) == [404, "canceled"]


@pytest.mark.parametrize(("action", "count"), [("requeue", "requeued"), ("delete", "deleted")])
def test_a_dry_run_shows_and_changes_nothing(client: TestClient, redis: Redis, action: str, count: str) -> None:
    ids = [fail(redis, post(client), number) for number in range(25)]
    before = {key: redis.dump(key) for key in redis.scan_iter()}
    answer = client.post(f"/v1/dead-letters/{action}?queue=log&dry_run=true").json()
    assert answer == {"dry_run": True, count: 25, "ids": ids[:20], "left": []}
    assert {key: redis.dump(key) for key in redis.scan_iter()} == before


@pytest.mark.parametrize("action", ["requeue", "delete"])
def test_without_a_filter_it_wants_all_to_be_said(client: TestClient, redis: Redis, action: str) -> None:
    id = fail(redis, post(client))
    for query in ("", "?all=false", "?dry_run=true"):
        answer = client.post(f"/v1/dead-letters/{action}{query}")
        (fault,) = answer.json()["errors"]
        assert (answer.status_code, fault["parameter"]) == (422, "all")
        assert f"to {action} every failed job say all=true" in fault["detail"]
    assert client.post(f"/v1/dead-letters/{action}?all=true&type=log").status_code == 422
    assert read_statuses(client, [id]) == ["failed"]
    assert client.post(f"/v1/dead-letters/{action}?all=true").json()["ids"] == [id]


def test_one_that_can_not_be_requeued_is_named_and_left(client: TestClient, redis: Redis) -> None:
    good, damaged = fail(redis, post(client), 1), fail(redis, post(client), 2)
    redis.hdel(f"rq:job:{damaged}", "data")
    answer = client.post("/v1/dead-letters/requeue?all=true").json()
    assert (answer["requeued"], answer["ids"]) == (1, [good])
    assert [left["id"] for left in answer["left"]] == [damaged]
    assert "its record is damaged" in answer["left"][0]["detail"]


def test_what_fails_in_the_meantime_is_left(client: TestClient, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "PAGE", 2)
    ids = [fail(redis, post(client), number) for number in range(5)]
    later = [post(client) for _ in range(2)]
    call = dead_letters.DeadLetters._call
    soon = int((datetime.now(UTC) - START).total_seconds()) + 60

    async def call_while_jobs_fail(self: Any, action: Any, taken: Any, token: str) -> Any:
        outcomes = await call(self, action, taken, token)
        for id in (*taken, *later):
            fail(redis, id, soon)
        return outcomes

    monkeypatch.setattr(dead_letters.DeadLetters, "_call", call_while_jobs_fail)
    answer = client.post("/v1/dead-letters/requeue?all=true").json()
    assert (answer["requeued"], answer["ids"]) == (5, ids)


def test_one_that_fails_again_under_a_late_clock_is_taken_once(
    client: TestClient, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "PAGE", 1)
    ids = [fail(redis, post(client), number) for number in range(3)]
    call = dead_letters.DeadLetters._call

    async def call_and_fail(self: Any, action: Any, taken: Any, token: str) -> Any:
        outcomes = await call(self, action, taken, token)
        for id in taken:
            fail(redis, id, 100)
        return outcomes

    monkeypatch.setattr(dead_letters.DeadLetters, "_call", call_and_fail)
    assert client.post("/v1/dead-letters/requeue?all=true").json()["ids"] == ids


@pytest.mark.valkey
def test_a_full_redis_requeues_nothing_and_deletes_all_the_same(client: TestClient, redis: Redis) -> None:
    fail(redis, post(client))
    used = redis.info("memory")["used_memory"]
    limit = redis.config_get("maxmemory")["maxmemory"]
    redis.config_set("maxmemory", int(used * 1.05))
    try:
        client.app.state.store.enqueuer.memory._read_at = float("-inf")  # type: ignore[attr-defined]
        answer = client.post("/v1/dead-letters/requeue?all=true")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem-type:errand:redis-full")
        assert "0 jobs were requeued" in answer.json()["detail"]
        assert client.get("/v1/dead-letters").status_code == 200
        assert client.post("/v1/dead-letters/delete?all=true").json()["deleted"] == 1
    finally:
        redis.config_set("maxmemory", limit)


FAILURES = st.lists(
    st.tuples(st.sampled_from(["log", "tally"]), st.integers(0, 5), st.sampled_from(["OSError", "KeyError"])),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    failures=FAILURES,
    type=st.sampled_from(["", "log"]),
    error=st.sampled_from(["", "OSError", "no such"]),
    window=st.tuples(st.integers(0, 3), st.integers(2, 6)),
    action=st.sampled_from(["requeue", "delete"]),
)
def test_it_takes_what_a_naive_reader_would_take(
    client: TestClient,
    redis: Redis,
    failures: list[tuple[str, int, str]],
    type: str,
    error: str,
    window: tuple[int, int],
    action: str,
) -> None:
    redis.flushall()
    jobs = {}
    for kind, second, name in failures:
        jobs[fail(redis, post(client, kind), second, (name, "no such thing"))] = (kind, second, name)
    meant = {
        id
        for id, (kind, second, name) in jobs.items()
        if type in ("", kind) and error in ("", "no such", name) and window[0] <= second < window[1]
    }
    query = f"?failed_after={at(window[0])}&failed_before={at(window[1])}"
    query += (f"&type={type}" if type else "") + (f"&error={error}" if error else "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dead_letters, "PAGE", 3)
        patch.setattr(index, "BUDGET", 4)
        taken = client.post(f"/v1/dead-letters/{action}{query}").json()["ids"]
    assert (set(taken), len(taken)) == (meant, len(meant))
    assert [jobs[id][1] for id in taken] == sorted(jobs[id][1] for id in taken)
    after = "queued" if action == "requeue" else 404
    assert read_statuses(client, list(jobs)) == [after if id in meant else "failed" for id in jobs]


@pytest.mark.parametrize("worker", ["start_worker", "start_plain_worker"])
def test_what_really_failed_is_found_and_runs_again(services: Services, tmp_path: Path, worker: str) -> None:
    services.start_api()
    getattr(services, worker)()
    id = services.post("fail", {"ledger": str(tmp_path / "ledger"), "permanent": True, "succeed_at": 2})
    error = services.wait_for(id)["error"]["type"]
    found = services.call("GET", f"/v1/dead-letters?error={error}&type=fail").body["items"]
    assert [job["id"] for job in found] == [id]
    assert services.call("POST", f"/v1/dead-letters/requeue?error={error}").body["requeued"] == 1
    assert services.wait_for(id)["status"] == "finished"
    assert services.call("GET", "/v1/dead-letters").body["items"] == []
