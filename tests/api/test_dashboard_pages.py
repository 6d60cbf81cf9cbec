"""What the dashboard shows: each page and each data route, over jobs in every state."""

import json
from collections.abc import Callable
from itertools import chain
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq.job import Job
from starlette.testclient import TestClient

from errand.api.settings import ApiSettings
from errand.contract.load import list_queues
from errand.local.valkey import EmbeddedValkey
from errand.store.settings import QueueSettings
from tests.api.stored import REGISTRIES, Stored
from tests.support.connectors import create_app
from tests.support.job_types import TYPES

SCRIPT = "<script>window.pwned = 1</script>"
PAGES = (
    "/dashboard",
    "/dashboard/",
    "/dashboard/0/",
    "/dashboard/0/view",
    "/dashboard/0/view/queues",
    "/dashboard/0/view/jobs",
    "/dashboard/0/view/workers",
    "/dashboard/0/data/queues.json",
    "/dashboard/0/data/workers.json",
    "/dashboard/favicon.ico",
    "/dashboard/static/favicon.ico",
    "/dashboard/static/css/main.css",
    "/dashboard/static/js/underscore-umd-min.js",
)
STATES: dict[str, Callable[[Stored], Job]] = {
    **{name: methodcaller("put_in", name) for name in REGISTRIES},
    "orphaned": Stored.orphaned,
    "script in a result": lambda stored: stored.finished(SCRIPT, description=SCRIPT),
    "script in a traceback": lambda stored: stored.failed(SCRIPT, description=SCRIPT),
    "script in arguments": lambda stored: stored.started(SCRIPT, description=SCRIPT),
}


@pytest.fixture
def stored(redis: Redis) -> Stored:
    return Stored(redis)


def read_list(client: TestClient, registry: str, order: str = "asc", page: int | str = 1, per_page: int = 8) -> Any:
    answer = client.get(f"/dashboard/0/data/jobs/default/{registry}/{per_page}/{order}/{page}.json")
    assert answer.status_code == 200, answer.text
    return answer.json()


def read_ids(client: TestClient, registry: str, order: str = "asc", page: int = 1) -> list[str]:
    return [job["id"] for job in read_list(client, registry, order, page)["jobs"]]


def read_job(client: TestClient, id: str) -> Any:
    answer = client.get(f"/dashboard/0/data/job/{id}.json")
    assert answer.status_code == 200, answer.text
    return answer.json()


def read_queues(client: TestClient) -> dict[str, Any]:
    return {queue["name"]: queue for queue in client.get("/dashboard/0/data/queues.json").json()["queues"]}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_answers_with_jobs_in_every_state(client: TestClient, stored: Stored, path: str) -> None:
    for state in STATES.values():
        state(stored)
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/dashboard/", "/dashboard/0", "/dashboard/0/", "/dashboard/0/view/queues"])
def test_no_page_leads_from_https_to_http(client: TestClient, path: str) -> None:
    assert client.get(path, follow_redirects=False).status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_a_page_answers_on_an_empty_server(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("state", STATES)
def test_a_job_has_its_page_and_its_data(client: TestClient, stored: Stored, state: str) -> None:
    job = STATES[state](stored)
    assert job.id in client.get(f"/dashboard/0/view/job/{job.id}").text
    assert read_job(client, job.id)["status"] == job.get_status()


@pytest.mark.parametrize("order", ["asc", "dsc"])
@pytest.mark.parametrize("registry", REGISTRIES)
def test_a_list_has_its_page(client: TestClient, stored: Stored, registry: str, order: str) -> None:
    stored.put_in(registry)
    assert client.get(f"/dashboard/0/view/jobs/default/{registry}/8/{order}/1").status_code == 200


@pytest.mark.parametrize("registry", REGISTRIES)
def test_the_pages_of_a_list_hold_each_job_once_in_either_order(
    client: TestClient, stored: Stored, registry: str
) -> None:
    wanted = {stored.put_in(registry).id for _ in range(20)}
    pages = [read_ids(client, registry, page=page) for page in (1, 2, 3, 4)]
    back = [read_ids(client, registry, "dsc", page) for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [len(page) for page in back] == [8, 8, 4, 0]
    assert set().union(*pages) == wanted
    assert list(chain(*back)) == list(chain(*pages))[::-1]


def test_the_second_page_of_a_queue_holds_the_ninth_to_the_sixteenth(client: TestClient, stored: Stored) -> None:
    ids = [stored.queued().id for _ in range(20)]
    assert read_ids(client, "queued", page=2) == ids[8:16]
    assert read_ids(client, "queued", "dsc", page=2) == ids[4:12][::-1]


def test_a_list_links_to_its_pages(client: TestClient, stored: Stored) -> None:
    for _ in range(20):
        stored.queued()
    links = read_list(client, "queued", page=2)["pagination"]
    assert (links["current_page"], links["num_pages"]) == (2, 3)
    assert links["next_page"]["url"] == "/dashboard/0/view/jobs/default/queued/8/asc/3"


def test_the_queues_are_counted_by_registry(client: TestClient, stored: Stored) -> None:
    for registry in ("queued", "started", "finished", "failed", "canceled"):
        stored.put_in(registry)
    queue = read_queues(client)["default"]
    counts = [queue["count"], *(queue[f"{name}_job_registry_count"] for name in REGISTRIES[1:])]
    assert counts == [1, 0, 0, 1, 1, 1, 1]


def test_the_queues_of_the_job_files_are_listed_before_their_first_job(client: TestClient, redis: Redis) -> None:
    assert not redis.keys("*")
    counts = {name: queue["count"] for name, queue in read_queues(client).items()}
    assert counts == {queue.name: 0 for queue in list_queues(TYPES)}
    assert all(f'<option value="{name}">' in client.get("/dashboard/0/view/jobs").text for name in counts)


@pytest.mark.parametrize("registry", REGISTRIES)
def test_the_page_of_jobs_opens_on_a_list_that_has_some(client: TestClient, redis: Redis, registry: str) -> None:
    Stored(redis, "reports").put_in(registry)
    page = client.get("/dashboard/0/view/jobs").text
    shown = "scheduled" if registry == "deferred" else registry  # it waits for one that is scheduled
    assert f'"reports", "{shown}", "8", "asc", "1", function' in page


def test_the_page_of_jobs_opens_on_what_is_queued_before_what_has_ended(
    client: TestClient, stored: Stored, redis: Redis
) -> None:
    stored.failed()
    Stored(redis, "reports").queued()
    assert '"reports", "queued"' in client.get("/dashboard/0/view/jobs").text


def test_a_job_shows_what_it_was_posted_with(client: TestClient, redis: Redis) -> None:
    mail = {"to": "ada@example.com", "subject": "It works", "text": "Zażółć"}
    id = client.post("/v1/jobs/email", json=mail).json()["id"]
    queue = redis.hget(f"rq:job:{id}", "origin").decode()
    type, _, payload = read_job(client, id)["description"].partition(" ")
    assert (type, json.loads(payload)) == ("email", client.get(f"/v1/jobs/{id}?fields=payload").json()["payload"])
    (row,) = client.get(f"/dashboard/0/data/jobs/{queue}/queued/8/asc/1.json").json()["jobs"]
    assert row["description"] == f"{type} {payload}"


def test_a_long_payload_is_cut_in_a_list_and_not_on_the_jobs_page(client: TestClient, redis: Redis) -> None:
    id = client.post("/v1/jobs/tally", json={"number": 7}).json()["id"]
    data = json.dumps(["jobs.tally.run.perform", None, [], {"number": "x" * 5000}])
    redis.hset(f"rq:job:{id}", "data", data)
    assert read_ids(client, "queued") == [id]
    assert len(read_list(client, "queued")["jobs"][0]["description"]) == 202
    assert len(read_job(client, id)["description"]) > 5000


def test_a_job_that_is_not_ours_keeps_its_description_and_metadata(client: TestClient, stored: Stored) -> None:
    job = stored.queue.enqueue("copy.copy", x=1, meta={"note": "mine"})
    shown = read_job(client, job.id)
    assert (shown["description"], json.loads(shown["metadata"])) == ("copy.copy(x=1)", {"note": "mine"})


def test_a_job_shows_how_far_it_is_and_what_went_wrong(client: TestClient, redis: Redis) -> None:
    id = client.post("/v1/jobs/tally?tag=vip", json={"number": 7}).json()["id"]
    redis.hset(
        f"rq:job:{id}",
        mapping={
            "errand_progress": '{"done": 9, "total": 20, "message": "sending", "updated_at": "2026-01-01T00:00:00Z"}',
            "errand_attempts": 2,
            "errand_error": '{"type": "OSError", "message": "no route"}',
            "meta": '{"note": "mine"}',
        },
    )
    assert json.loads(read_job(client, id)["metadata"]) == {
        "progress": "45 %: sending",
        "attempts": 2,
        "error": "OSError: no route",
        "tags": "vip",
        "note": "mine",
    }


def test_a_finished_job_shows_its_result(client: TestClient, stored: Stored) -> None:
    assert read_job(client, stored.finished({"a": ["ü", None]}).id)["result"] == {"a": ["ü", None]}


def test_a_failed_job_shows_its_traceback(client: TestClient, stored: Stored) -> None:
    assert "ValueError: invalid literal" in read_job(client, stored.failed().id)["exc_info"]


@pytest.mark.parametrize(("make", "status"), [(Stored.deferred, "active"), (Stored.orphaned, "expired")])
def test_a_deferred_job_names_its_parent(
    client: TestClient, stored: Stored, make: Callable[[Stored], Job], status: str
) -> None:
    job = make(stored)
    (parent,) = job._dependency_ids
    shown = read_job(client, job.id)
    assert (shown["depends_on"], shown["depends_on_status"]) == ([parent], [status])


def test_the_workers_page_shows_the_running_job(client: TestClient, stored: Stored) -> None:
    job = stored.started(description="email")
    (worker,) = client.get("/dashboard/0/data/workers.json").json()["workers"]
    assert worker["current_job"]["job_id"] == job.id


@pytest.mark.parametrize("id", ["3c5b8a4e-0000-4000-8000-000000000000", "no.id", "a:b"])
@pytest.mark.parametrize("path", ["view/job/{}", "data/job/{}.json"])
def test_a_missing_job_is_a_404(client: TestClient, path: str, id: str) -> None:
    assert client.get(f"/dashboard/0/{path.format(id)}").status_code == 404


@pytest.mark.parametrize(
    "rest",
    [
        *("nothing/8/asc/1", "queued/8/up/1", "queued/8/asc/0", "queued/8/asc/-1", "queued/8/asc/x", "queued/8/asc/²"),
        *("queued/0/asc/1", "queued/-8/asc/1", "queued/x/asc/1", "queued/201/asc/1"),
    ],
)
@pytest.mark.parametrize("kind", ["view/jobs/default/{}", "data/jobs/default/{}.json"])
def test_an_unknown_list_or_page_is_a_404(client: TestClient, stored: Stored, kind: str, rest: str) -> None:
    stored.queued()
    assert client.get(f"/dashboard/0/{kind.format(rest)}").status_code == 404


def test_an_unknown_server_is_a_404(client: TestClient) -> None:
    assert client.get("/dashboard/1/view/queues").status_code == 404


def test_a_page_beyond_all_numbers_is_empty(client: TestClient, stored: Stored) -> None:
    stored.queued()
    assert read_list(client, "queued", page="9" * 30)["jobs"] == []


def test_a_queues_name_in_the_address_does_not_become_script(client: TestClient) -> None:
    page = client.get("/dashboard/0/view/jobs/';window.pwned=1;'/queued/8/asc/1").text
    assert "';window.pwned" not in page


@pytest.mark.parametrize("path", [*PAGES[1:], "/dashboard/no/such", "/dashboard/0/view/job/none"])
def test_every_answer_says_what_may_run_in_it(client: TestClient, path: str) -> None:
    assert "script-src 'self'" in client.get(path).headers["Content-Security-Policy"]


@pytest.mark.valkey
def test_fifty_requests_take_few_connections(client: TestClient, stored: Stored, redis: Redis) -> None:
    job, before = stored.finished(), redis.info("stats")["total_connections_received"]
    for _ in range(10):
        for path in (*PAGES[4:8], f"/dashboard/0/data/job/{job.id}.json"):
            assert client.get(path).status_code == 200
    assert redis.info("stats")["total_connections_received"] - before <= 3


def test_two_apps_show_each_its_own_redis(client: TestClient, stored: Stored, tmp_path: Path) -> None:
    stored.queued()
    server = EmbeddedValkey(tmp_path / "v")
    server.start()
    try:
        with Redis.from_url(server.url) as redis:
            Stored(redis, "elsewhere").queued()
        app = create_app(ApiSettings(ERRAND_LOCAL=True), QueueSettings(REDIS_URL=server.url), TYPES)
        other = TestClient(app, base_url="http://localhost")
        for one, is_elsewhere in ((client, False), (other, True), (client, False)):
            assert ("elsewhere" in read_queues(one)) == is_elsewhere
    finally:
        server.stop()
