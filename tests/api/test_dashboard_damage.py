"""What the dashboard shows where a record is damaged or a trap, and where Redis is away."""

import json
import pickle
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient

from errand.api.settings import ApiSettings
from errand.local.valkey import find_free_port
from errand.store.settings import QueueSettings
from tests.api.stored import REGISTRIES, Stored
from tests.support.connectors import create_app
from tests.support.job_types import TYPES

NAMES = {"started": "wip"}  # of registries, in their keys


class Touch:
    """Pickled, it makes a file where it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self._path,)


@pytest.fixture
def stored(redis: Redis) -> Stored:
    return Stored(redis)


def read_ids(client: TestClient, registry: str) -> list[str]:
    answer = client.get(f"/dashboard/0/data/jobs/default/{registry}/8/asc/1.json")
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["jobs"]]


@pytest.mark.parametrize("field", ["data", None])
def test_a_running_job_that_is_gone_or_damaged_hides_no_worker(
    client: TestClient, stored: Stored, redis: Redis, field: str | None
) -> None:
    gone, _ = stored.started(), stored.started()
    redis.hset(gone.key, field, b"\x00") if field else redis.delete(gone.key)
    workers = client.get("/dashboard/0/data/workers.json").json()["workers"]
    assert len(workers) == 2


@pytest.mark.parametrize("registry", REGISTRIES)
@pytest.mark.parametrize("field", ["created_at", "status", "retry_intervals", "origin", "data"])
def test_a_damaged_job_hides_no_other(
    client: TestClient, stored: Stored, redis: Redis, registry: str, field: str
) -> None:
    first, damaged, last = (stored.put_in(registry) for _ in range(3))
    redis.hset(damaged.key, field, b"\xff\x00 no such value")
    assert {first.id, last.id} <= set(read_ids(client, registry))


def test_an_id_that_is_no_text_hides_no_job(client: TestClient, stored: Stored, redis: Redis) -> None:
    redis.rpush(stored.queue.key, b"\xff\xfe")
    assert stored.queued().id in read_ids(client, "queued")


@pytest.mark.parametrize("result", [{"type": "9"}, {"type": "1", "return_value": "e30"}, {"exc_string": "AAAA"}])
def test_a_damaged_result_hides_no_other(
    client: TestClient, stored: Stored, redis: Redis, result: dict[Any, Any]
) -> None:
    damaged, other = stored.finished(), stored.finished()
    redis.xadd(f"rq:results:{damaged.id}", result)
    assert set(read_ids(client, "finished")) == {damaged.id, other.id}
    assert client.get(f"/dashboard/0/data/job/{damaged.id}.json").json()["status"] == "finished"


@pytest.mark.parametrize(
    "field", ["created_at", "status", "retry_intervals", "dependency_ids", "errand_progress", "data"]
)
def test_the_page_of_a_damaged_job_shows_the_rest_of_it(
    client: TestClient, stored: Stored, redis: Redis, field: str
) -> None:
    job = stored.failed(description="a job")
    redis.hset(job.key, field, b"\xff\x00 no such value")
    assert job.id in client.get(f"/dashboard/0/view/job/{job.id}").text
    answer = client.get(f"/dashboard/0/data/job/{job.id}.json")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["description"], answer.json()["origin"]) == ("a job", "default")
    assert field in ("errand_progress", "data") or json.loads(answer.json()["metadata"])["damaged"] == field


def test_the_page_of_a_job_that_is_no_hash_says_that_it_is_damaged(client: TestClient, redis: Redis) -> None:
    redis.set("rq:job:some-id", "x")
    assert client.get("/dashboard/0/data/job/some-id.json").status_code == 409


@pytest.mark.parametrize("registry", REGISTRIES)
def test_a_damaged_registry_costs_its_cell_and_not_the_table(
    client: TestClient, stored: Stored, redis: Redis, registry: str
) -> None:
    stored.queued()
    key = "rq:queue:email" if registry == "queued" else f"rq:{NAMES.get(registry, registry)}:email"
    redis.sadd("rq:queues", "rq:queue:email")
    redis.set(key, "x")
    found = {queue["name"]: queue for queue in client.get("/dashboard/0/data/queues.json").json()["queues"]}
    cells = {name: found["email"]["count" if name == "queued" else f"{name}_job_registry_count"] for name in REGISTRIES}
    assert cells == {**dict.fromkeys(REGISTRIES, 0), registry: "damaged"}
    assert found["default"]["count"] == 1
    assert client.get("/dashboard/0/view/jobs").status_code == 200
    (row,) = client.get(f"/dashboard/0/data/jobs/email/{registry}/8/asc/1.json").json()["jobs"]
    assert row["description"].startswith("This list is damaged: ")


@pytest.mark.parametrize("entry", [b"\xff", "no queue's key", "rq:queue:"])
def test_a_damaged_entry_of_the_queues_hides_no_other(
    client: TestClient, stored: Stored, redis: Redis, entry: bytes | str
) -> None:
    stored.queued()
    redis.sadd("rq:queues", entry)
    assert "default" in [queue["name"] for queue in client.get("/dashboard/0/data/queues.json").json()["queues"]]


def test_a_damaged_set_of_queues_hides_none_of_the_job_files(client: TestClient, redis: Redis) -> None:
    redis.set("rq:queues", "x")
    assert "default" in [queue["name"] for queue in client.get("/dashboard/0/data/queues.json").json()["queues"]]


@pytest.mark.parametrize("damage", ["a string", "a time"])
def test_a_damaged_worker_hides_no_other(client: TestClient, stored: Stored, redis: Redis, damage: str) -> None:
    for _ in range(2):
        stored.started()
    key = min(redis.smembers("rq:workers"))
    if damage == "a string":
        redis.set(key, "x")
    else:
        redis.hset(key, "birth", "x")
    assert len(client.get("/dashboard/0/data/workers.json").json()["workers"]) == 1


@pytest.mark.parametrize("field", ["data", "meta", "result"])
def test_no_page_runs_what_a_pickle_holds(
    client: TestClient, stored: Stored, redis: Redis, tmp_path: Path, field: str
) -> None:
    trap = tmp_path / "ran"
    for registry in REGISTRIES:
        job = stored.put_in(registry)
        redis.hset(job.key, field, pickle.dumps(Touch(trap)))
        client.get(f"/dashboard/0/view/jobs/default/{registry}/8/asc/1")
        assert job.id in read_ids(client, registry)
        for path in (f"view/job/{job.id}", f"data/job/{job.id}.json", "data/workers.json", "data/queues.json"):
            assert client.get(f"/dashboard/0/{path}").status_code == 200
    assert not trap.exists()


def test_no_page_runs_what_a_pickled_result_holds(
    client: TestClient, stored: Stored, redis: Redis, tmp_path: Path
) -> None:
    job, trap = stored.finished(), tmp_path / "ran"
    redis.xadd(f"rq:results:{job.id}", {"type": 1, "return_value": b64encode(pickle.dumps(Touch(trap)))})
    assert read_ids(client, "finished") == [job.id]
    shown = client.get(f"/dashboard/0/data/job/{job.id}.json").json()
    assert (shown["status"], shown["result"]) == ("finished", None)
    assert "UnreadableResult: " in json.loads(shown["metadata"])["error"]
    assert not trap.exists()


@pytest.mark.parametrize(
    "path",
    [
        *("", "0/", "0/view/queues", "0/view/jobs", "0/view/workers", "0/data/queues.json", "0/data/workers.json"),
        *("0/view/job/some-id", "0/data/job/some-id.json", "0/data/jobs/default/queued/8/asc/1.json"),
    ],
)
def test_without_redis_a_page_is_a_503(path: str) -> None:
    settings = QueueSettings(REDIS_URL=f"redis://127.0.0.1:{find_free_port()}")
    app = create_app(ApiSettings(ERRAND_LOCAL=True), settings, TYPES)
    answer = TestClient(app, base_url="http://localhost").get(f"/dashboard/{path}")
    assert (answer.status_code, "Redis can't be reached" in answer.text) == (503, True)
