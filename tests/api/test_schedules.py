"""/v1/schedules."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from redis import ConnectionError, Redis
from starlette.testclient import TestClient

from errand.api.http.auth import make_key
from errand.api.routes.schedules import ScheduleList, ScheduleView
from errand.api.settings import ApiSettings
from errand.api.views import JobView
from errand.store.settings import QueueSettings
from tests.support.connectors import create_app
from tests.support.job_types import TYPES

DAILY = {"type": "log", "payload": {"text": "Good morning"}, "cron": "0 7 * * *", "timezone": "Europe/Paris"}
EVERY = {"type": "log", "payload": {"text": "x"}, "every_seconds": 3600}


def put(client: TestClient, body: Any = DAILY, name: str = "morning") -> Any:
    return client.put(f"/v1/schedules/{name}", json=body)


def list_faults(answer: Any) -> dict[str, str]:
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:problem-type:errand:invalid-body")
    return {fault["pointer"]: fault["detail"] for fault in answer.json()["errors"]}


def test_a_new_schedule_is_a_201_with_its_next_five_runs(client: TestClient) -> None:
    answer = put(client)
    shown = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, "/v1/schedules/morning")
    TypeAdapter(ScheduleView).validate_python(shown, extra="forbid")
    assert {name: shown[name] for name in DAILY} == DAILY
    assert (shown["catch_up"], shown["overlap"], shown["source"], shown["paused"]) == ("last", "queue", "http", False)
    assert (len(shown["next_runs"]), shown["runs"]) == (5, [])
    assert {run[11:] for run in shown["next_runs"]} <= {"05:00:00Z", "06:00:00Z"}
    assert shown["next_run_at"] == shown["next_runs"][0]
    assert client.get("/v1/schedules/morning").json() == shown


def test_put_again_is_a_200_and_replaces_it(client: TestClient) -> None:
    created_at = put(client).json()["created_at"]
    assert put(client).status_code == 200
    answer = put(client, {**EVERY, "catch_up": "all", "overlap": "skip"})
    shown = answer.json()
    assert (answer.status_code, shown["created_at"]) == (200, created_at)
    assert (shown["cron"], shown["every_seconds"], shown["catch_up"], shown["overlap"]) == (None, 3600, "all", "skip")
    first, second = map(datetime.fromisoformat, shown["next_runs"][:2])
    assert (second - first, first.minute, first.second) == (timedelta(hours=1), 0, 0)


@pytest.mark.parametrize(
    ("change", "pointer", "detail"),
    [
        ({"cron": "0 25 * * *"}, "#/cron", "hour '25' can't be read: write 0 to 23"),
        ({"cron": "0 0 30 2 *"}, "#/cron", "it never comes"),
        ({"cron": "* * * * * *"}, "#/cron", "there are 6 fields; write five"),
        ({"cron": None}, "#/cron", "give either cron or every_seconds"),
        ({"every_seconds": 60, "timezone": "UTC"}, "#/cron", "give either cron or every_seconds"),
        ({"cron": None, "every_seconds": 0}, "#/every_seconds", "Input should be greater than or equal to 1"),
        ({"cron": None, "every_seconds": 60}, "#/timezone", "every_seconds counts from 1970 in no zone"),
        ({"timezone": "Europe/Pariss"}, "#/timezone", "there is no time zone 'Europe/Pariss'"),
        ({"catch_up": "some"}, "#/catch_up", "Input should be 'none', 'last' or 'all'"),
        ({"overlap": "replace"}, "#/overlap", "Input should be 'skip' or 'queue'"),
        ({"type": "sms"}, "#/type", "there is no job type 'sms'; there are "),
        ({"payload": {"txt": "x"}}, "#/payload/lines", "give text or lines, one of them"),
        ({"payload": {"txt": "x"}}, "#/payload/txt", "Extra inputs are not permitted"),
        ({"payload": 7}, "#/payload", "Input should be an object"),
        ({"colour": "red"}, "#/colour", "Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_is_shown_with_its_place(client: TestClient, change: Any, pointer: str, detail: str) -> None:
    faults = list_faults(put(client, {**DAILY, **change}))
    assert faults[pointer].startswith(detail)
    assert client.get("/v1/schedules").json() == {"items": []}


def test_all_that_is_wrong_is_shown_at_once(client: TestClient) -> None:
    body = {"type": "email", "payload": {}, "cron": "61 * * 13 *", "timezone": "Mars/Olympus"}
    answer = put(client, body)
    pointers = {fault["pointer"] for fault in answer.json()["errors"]}
    assert {"#/timezone", "#/payload/to", "#/payload/subject"} <= pointers


@pytest.mark.parametrize("name", ["a b", ".hidden", "x" * 51, "a:b"])
def test_a_name_that_is_none_is_shown(client: TestClient, name: str) -> None:
    answer = put(client, name=name)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "name"
    assert client.get(f"/v1/schedules/{name}").status_code == 404


def test_the_payload_is_shown_as_it_was_given(client: TestClient) -> None:
    payload = {"to": ["ada@example.com"], "subject": "Hello", "text": "It works."}
    assert put(client, {"type": "email", "payload": payload, "cron": "@daily"}).json()["payload"] == payload


def test_the_list_holds_all_of_them_by_name(client: TestClient) -> None:
    put(client, name="b")
    put(client, EVERY, name="a")
    shown = client.get("/v1/schedules").json()
    TypeAdapter(ScheduleList).validate_python(shown)
    assert [item["name"] for item in shown["items"]] == ["a", "b"]
    assert "payload" not in shown["items"][0]
    assert shown["items"][0]["next_run_at"].endswith(":00:00Z")


def test_pause_and_resume(client: TestClient) -> None:
    put(client)
    paused = client.post("/v1/schedules/morning/pause").json()
    assert (paused["paused"], paused["next_runs"], paused["next_run_at"]) == (True, [], None)
    assert client.post("/v1/schedules/morning/pause").status_code == 200
    resumed = client.post("/v1/schedules/morning/resume").json()
    assert (resumed["paused"], len(resumed["next_runs"])) == (False, 5)


def test_run_gives_a_job_at_once_paused_or_not(client: TestClient, redis: Redis) -> None:
    put(client)
    client.post("/v1/schedules/morning/pause")
    answer = client.post("/v1/schedules/morning/run")
    job = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/jobs/{job['id']}")
    TypeAdapter(JobView).validate_python(job, extra="forbid")
    assert (job["type"], job["status"], job["tags"]) == ("log", "queued", ["schedule:morning"])
    assert redis.lrange("rq:queue:log", 0, -1) == [job["id"].encode()]
    (run,) = client.get("/v1/schedules/morning").json()["runs"]
    assert (run["slot"], run["job_id"], run["status"]) == (None, job["id"], "queued")


def test_run_of_one_that_skips_is_a_409_that_names_the_job_that_is_still_there(
    client: TestClient, redis: Redis
) -> None:
    put(client, {**DAILY, "overlap": "skip"})
    job = client.post("/v1/schedules/morning/run").json()
    answer = client.post("/v1/schedules/morning/run")
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (409, "urn:problem-type:errand:not-runnable")
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["detail"] == (
        f"Schedule 'morning' skips what overlaps, and job {job['id']} of it has not ended, its status is queued: "
        "wait for its end, or cancel it"
    )
    assert redis.llen("rq:queue:log") == 1
    assert client.post(f"/v1/jobs/{job['id']}/cancel").status_code == 200
    assert client.post("/v1/schedules/morning/run").status_code == 202


def test_run_of_one_that_queues_gives_a_job_each_time(client: TestClient, redis: Redis) -> None:
    put(client, {**DAILY, "overlap": "queue"})
    assert [client.post("/v1/schedules/morning/run").status_code for _ in range(3)] == [202] * 3
    assert redis.llen("rq:queue:log") == 3


def test_the_runs_are_a_batch_that_their_jobs_link_to(client: TestClient) -> None:
    put(client)
    job = client.post("/v1/schedules/morning/run").json()
    batch = client.get(job["links"]["batch"]).json()
    assert (batch["type"], batch["total"], batch["queued"]) == ("log", 1, 1)


def test_a_schedule_whose_job_file_has_gone_can_be_seen_and_not_run(client: TestClient, redis: Redis) -> None:
    put(client)
    definition: Any = redis.hget("errand:schedule:morning", "definition")
    redis.hset("errand:schedule:morning", "definition", definition.replace(b'"log"', b'"gone"'))
    assert client.get("/v1/schedules/morning").json()["type"] == "gone"
    answer = client.post("/v1/schedules/morning/run")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:problem-type:errand:not-runnable")


def test_delete_forgets_it(client: TestClient) -> None:
    put(client)
    answer = client.delete("/v1/schedules/morning")
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.delete("/v1/schedules/morning").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/run")],
)
def test_an_unknown_schedule_is_a_404(client: TestClient, redis: Redis, method: str, path: str) -> None:
    answer = client.request(method, f"/v1/schedules/nothing{path}")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:problem-type:errand:no-such-schedule")
    assert redis.keys() == []


def test_the_job_files_names_are_theirs(client: TestClient) -> None:
    answer = put(client, name="jobs.digest")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:problem-type:errand:held-by-file")
    assert "jobs/digest.py" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["", "/morning"])
def test_an_unknown_parameter_is_refused(client: TestClient, path: str) -> None:
    assert client.get(f"/v1/schedules{path}?limit=1").status_code == 422


def test_redis_away_is_a_503(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise ConnectionError("away")

    monkeypatch.setattr(client.app.state.store.server.redis, "execute_command", fail)  # type: ignore[attr-defined]
    for method, path in (("GET", ""), ("GET", "/a"), ("DELETE", "/a"), ("POST", "/a/run"), ("POST", "/a/pause")):
        answer = client.request(method, f"/v1/schedules{path}")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem-type:errand:redis-away")


text = st.text(max_size=12) | st.sampled_from(["log", "email", "* * * * *", "@daily", "0 0 29 2 *", "UTC", "all"])
values = st.none() | st.booleans() | st.integers() | st.floats() | text | st.just({"text": "x"}) | st.lists(text)
names = st.sampled_from(["type", "payload", "cron", "every_seconds", "timezone", "catch_up", "overlap", "x"])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(names, values, max_size=4))
def test_no_generated_body_is_a_5xx(client: TestClient, changes: dict[str, Any]) -> None:
    content = json.dumps({**DAILY, **changes})
    answer = client.put("/v1/schedules/any", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 201, 422), (answer.text, content)


def test_docs_have_an_example_that_is_taken(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    body = document["paths"]["/v1/schedules/{name}"]["put"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/ScheduleBody"}
    assert put(client, body["example"]).status_code == 201


def test_it_asks_for_a_key_where_there_are_keys(queue_settings: QueueSettings) -> None:
    key, line = make_key("ops")
    with TestClient(create_app(ApiSettings(API_KEYS=line), queue_settings, TYPES)) as client:
        assert client.get("/v1/schedules").status_code == 401
        assert put(client).status_code == 401
        assert client.get("/v1/schedules", headers={"Authorization": f"Bearer {key}"}).status_code == 200


@pytest.mark.parametrize("definition", ["{", "{}", "[]", '{"type": "log", "cron": "no"}'])
def test_a_damaged_one_is_a_409_and_hides_no_other(client: TestClient, redis: Redis, definition: str) -> None:
    put(client, name="a")
    put(client, name="b")
    redis.hset("errand:schedule:b", "definition", definition)
    assert [one["name"] for one in client.get("/v1/schedules").json()["items"]] == ["a"]
    for method, action in (("GET", ""), ("POST", "/resume"), ("POST", "/run"), ("POST", "/pause")):
        answer = client.request(method, f"/v1/schedules/b{action}")
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:problem-type:errand:damaged"), action
    assert client.delete("/v1/schedules/b").status_code == 204


def test_a_run_that_can_not_be_read_hides_no_other(client: TestClient, redis: Redis) -> None:
    put(client)
    redis.lpush("errand:schedule:morning:runs", "{", "7")
    client.post("/v1/schedules/morning/run")
    statuses = [run["status"] for run in client.get("/v1/schedules/morning").json()["runs"]]
    assert (statuses[0], len(statuses)) == ("queued", 3)


@pytest.mark.parametrize("harm", ["token", "runs"])
def test_a_quarantined_one_comes_back_when_it_is_stored_again(client: TestClient, redis: Redis, harm: str) -> None:
    put(client)
    if harm == "token":
        redis.hdel("errand:schedule:morning", "token")
    else:
        redis.set("errand:schedule:morning:runs", "no list")
    redis.zadd("errand:schedules", {"morning": "+inf"})
    assert put(client).json()["next_run_at"]
    assert client.post("/v1/schedules/morning/run").status_code == 202


def test_one_without_a_token_can_be_resumed(client: TestClient, redis: Redis) -> None:
    put(client)
    client.post("/v1/schedules/morning/pause")
    redis.hdel("errand:schedule:morning", "token")
    assert client.post("/v1/schedules/morning/resume").json()["paused"] is False


@pytest.mark.parametrize("harmed", ["rq:job:{id}", "errand:batch:{batch}"])
def test_a_run_whose_job_or_record_is_of_a_wrong_type_hides_no_schedule(
    client: TestClient, redis: Redis, harmed: str
) -> None:
    put(client)
    id = client.post("/v1/schedules/morning/run").json()["id"]
    key = harmed.format(id=id, batch=(redis.hget("errand:schedule:morning", "batch") or b"").decode())
    redis.delete(key)
    redis.set(key, "no hash")
    assert client.get("/v1/schedules/morning").json()["runs"][0]["job_id"] == id
    assert client.get("/v1/schedules").json()["items"][0]["last_run"]["job_id"] == id
