"""Every link under a path: mounted in another application, or behind a proxy."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from redis import Redis
from starlette.testclient import TestClient
from starlette.types import ASGIApp
from typer.testing import CliRunner

from errand.api.http.access_log import AccessLines, AccessLog
from errand.api.http.auth import make_key
from errand.api.settings import ApiSettings
from errand.api.store import build_store
from errand.cli.main import app as cli
from errand.store.settings import QueueSettings
from tests.api.stored import Stored
from tests.api.test_dead_letters import fail
from tests.api.under import mount_at, serve_behind, set_root_path
from tests.support.api_server import serve
from tests.support.connectors import build_connector, create_app
from tests.support.job_types import WITH_TUTORIAL

Wrap = Callable[[FastAPI], ASGIApp]
WAYS: dict[str, tuple[str, Wrap]] = {
    "mounted": ("/errand", mount_at("/errand")),
    "mounted twice": ("/shop/errand", mount_at("/errand", "/shop")),
    "stripped": ("/jobs", serve_behind("/jobs", strips=True)),
    "stripped, a slash behind": ("/jobs", serve_behind("/jobs/", strips=True)),
    "not stripped": ("/jobs", serve_behind("/jobs", strips=False)),
    "stripped, like a path of ours": ("/v1", serve_behind("/v1", strips=True)),
    "not stripped, like a path of ours": ("/v1", serve_behind("/v1", strips=False)),
    "mounted behind a proxy": (
        "/jobs/errand",
        lambda app: serve_behind("/jobs", strips=True)(mount_at("/errand")(app)),  # type: ignore[arg-type]
    ),
    "set beside the path": ("/jobs", set_root_path("/jobs")),
}
LOG = {"text": "x"}
_, ENTRY = make_key("ops")
# SHA-256 that commit 45aff20 stored for that request, which it took a mount at /errand for a part of
BEFORE = "d657109acb9a2c6b0ddce95c408f9df369b809ad16d5398b067889c6a26d7a6b"


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(ApiSettings(ERRAND_LOCAL=True), QueueSettings(REDIS_URL="redis://fake.invalid"), WITH_TUTORIAL)


@pytest.fixture
def fresh(app: FastAPI, queue_settings: QueueSettings) -> FastAPI:
    """The application over the test's empty server."""
    app.state.store = build_store(build_connector(queue_settings.redis_url), queue_settings, app.state.store.types)
    return app


@pytest.fixture(params=list(WAYS.values()), ids=list(WAYS))
def way(request: pytest.FixtureRequest) -> tuple[str, Wrap]:
    """The prefix that clients see, and what puts the application there."""
    return request.param


@pytest.fixture
def prefix(way: tuple[str, Wrap]) -> str:
    return way[0]


@pytest.fixture
def client(way: tuple[str, Wrap], fresh: FastAPI) -> TestClient:
    """A client before it all: it sends whole paths, as a browser does."""
    return TestClient(way[1](fresh), base_url="http://localhost", raise_server_exceptions=False)


def list_links(value: Any) -> Iterator[str]:
    """Yield every link in JSON: what stands under `links`."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from inner.values() if name == "links" else list_links(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from list_links(inner)


def list_all_links(answer: Any) -> Iterator[str]:
    """Yield every link in an answer: of its body and its headers."""
    if "json" in answer.headers.get("content-type", "") and not answer.url.path.endswith("/openapi.json"):
        yield from list_links(answer.json())
    if "location" in answer.headers:
        yield answer.headers["location"]
    yield from re.findall(r"<([^>]+)>", answer.headers.get("link", ""))
    if "html" in answer.headers.get("content-type", ""):
        yield from re.findall(r"""(?:href|src|action)=["'](/[^"']*)["']""", answer.text)
        yield from re.findall(r"""url: ["'](/[^"']*)["']""", answer.text)


def follow(client: TestClient, prefix: str, answers: list[Any]) -> set[str]:
    """Follow every link of answers, and of what they lead to; return them all without the prefix."""
    seen: set[str] = set()
    waiting = [link for answer in answers for link in list_all_links(answer)]
    while waiting:
        link = waiting.pop()
        if link in seen:
            continue
        seen.add(link)
        assert link.startswith(f"{prefix}/"), link
        answer = client.get(link, follow_redirects=False)  # a button's is a 405
        assert answer.status_code in (200, 307, 308, 405), (link, answer.text)
        waiting += list_all_links(answer)
    return {link.removeprefix(prefix) for link in seen}


def store_all(client: TestClient, prefix: str, redis: Redis) -> list[Any]:
    """Store one of everything; return the answers, and those of every list."""
    job = client.post(f"{prefix}/v1/jobs/log", json=LOG)
    failed = client.post(f"{prefix}/v1/jobs/log", json=LOG).json()["id"]
    fail(redis, failed, 10)
    schedule = {"type": "log", "payload": LOG, "every_seconds": 60}
    answers = [
        job,
        client.post(f"{prefix}/v1/batches/log", json={"items": [LOG, LOG]}),
        client.put(f"{prefix}/v1/schedules/hourly", json=schedule),
        client.post(f"{prefix}/v1/schedules/hourly/run"),
        client.post(f"{prefix}/v1/schedules/hourly/pause"),
        client.get(f"{prefix}/v1/jobs/{job.json()['id']}/why"),
        client.post(f"{prefix}/v1/jobs/{job.json()['id']}/cancel"),
        client.post(f"{prefix}/v1/jobs/{job.json()['id']}/requeue"),
        client.post(f"{prefix}/v1/queues/log/pause"),
    ]
    paths = ("", "docs", "v1/jobs?limit=1&type=log", "v1/dead-letters", "v1/queues", "v1/schedules", "v1/workers")
    answers += [client.get(f"{prefix}/{path}") for path in (*paths, "dashboard")]
    assert [answer.status_code for answer in answers if answer.status_code >= 300] == []
    return answers


def test_every_link_begins_with_the_prefix_and_leads_somewhere(client: TestClient, prefix: str, redis: Redis) -> None:
    found = follow(client, prefix, store_all(client, prefix, redis))
    kinds = {re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", link.partition("?")[0]) for link in found}
    assert {
        *("/v1/jobs/ID", "/v1/batches/ID", "/v1/jobs/ID/why", "/v1/jobs", "/v1/queues/log", "/v1/schedules/hourly"),
        *("/docs", "/openapi.json", "/static-offline-docs/swagger-ui.css", "/static-offline-docs/swagger-ui-bundle.js"),
        *("/console", "/console/jobs", "/console/jobs/ID", "/console/jobs/ID/raw/payload", "/console/queues"),
        *("/dashboard", "/dashboard/", "/dashboard/static/css/main.css", "/dashboard/0/view/workers"),
    } <= kinds


def test_the_document_names_the_prefix_as_its_server(client: TestClient, prefix: str) -> None:
    document = client.get(f"{prefix}/openapi.json").json()
    assert document["servers"] == [{"url": prefix}]
    assert "/v1/jobs/log" in document["paths"]


def test_a_stream_s_links_have_the_prefix(client: TestClient, prefix: str) -> None:
    id = client.post(f"{prefix}/v1/jobs/log", json=LOG).json()["id"]
    client.post(f"{prefix}/v1/jobs/{id}/cancel")
    events = client.get(f"{prefix}/v1/jobs/{id}/events").text
    (shown,) = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: ")][-1:]
    assert shown["links"]["self"] == f"{prefix}/v1/jobs/{id}"


def test_head_works_under_the_prefix(client: TestClient, prefix: str) -> None:
    answer = client.head(f"{prefix}/livez")
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_problem_names_the_path_as_it_was_asked_for(client: TestClient, prefix: str) -> None:
    answer = client.get(f"{prefix}/nothing")
    assert (answer.status_code, answer.json()["detail"]) == (404, f"There is nothing at {prefix}/nothing")
    assert client.put(f"{prefix}/v1/jobs/log").json()["type"] == "urn:problem-type:errand:method-not-allowed"


def test_a_button_of_the_dashboard_works_under_the_prefix(client: TestClient, prefix: str, redis: Redis) -> None:
    job = Stored(redis).failed()
    answer = client.post(f"{prefix}/dashboard/job/{job.id}/requeue", headers={"Sec-Fetch-Site": "same-origin"})
    assert (answer.json(), job.get_status(refresh=True)) == ({"status": "OK"}, "queued")


def test_a_request_is_the_same_with_the_prefix_and_without(client: TestClient, prefix: str, fresh: FastAPI) -> None:
    key = {"Idempotency-Key": "order-7"}
    first = client.post(f"{prefix}/v1/jobs/log", json=LOG, headers=key)
    direct = TestClient(fresh, base_url="http://localhost").post("/v1/jobs/log", json=LOG, headers=key)
    assert (direct.status_code, direct.json()["id"]) == (202, first.json()["id"])
    assert direct.headers["location"] == first.headers["location"].removeprefix(prefix)


def test_a_request_that_the_version_before_stored_under_a_prefix_is_known(redis: Redis, fresh: FastAPI) -> None:
    client = TestClient(mount_at("/errand")(fresh), base_url="http://localhost")
    key = {"Idempotency-Key": "order-7"}
    first = client.post("/errand/v1/jobs/log", json=LOG, headers=key).json()["id"]
    (record,) = redis.scan_iter("errand:idempotency:*")
    kept = json.loads(redis.get(record))
    kept["fingerprint"] = "1faf0ea6f9d08d9a1d3b1a3d5d6e4fd5c0a3b83b5bf4ef4ef6b8a4b6a2e2f3c1"
    redis.set(record, json.dumps(kept))
    assert client.post("/errand/v1/jobs/log", json=LOG, headers=key).status_code == 422
    kept["fingerprint"] = BEFORE
    redis.set(record, json.dumps(kept))
    assert client.post("/errand/v1/jobs/log", json=LOG, headers=key).json()["id"] == first


@pytest.mark.parametrize("way", ["mounted", "stripped", "not stripped"])
def test_no_prefix_leads_around_a_guard(queue_settings: QueueSettings, way: str) -> None:
    prefix, wrap = WAYS[way]
    app = create_app(ApiSettings(API_KEYS=ENTRY, DASHBOARD_PASSWORD="secret"), queue_settings, WITH_TUTORIAL)
    client = TestClient(wrap(app), base_url="http://localhost")
    for path in ("/v1/jobs", "/metrics", "/dashboard/", "/dashboard/0/data/queues.json"):
        assert client.get(prefix + path).status_code == 401
        for before in (
            "",
            prefix * 2,
            prefix * 3,
            f"{prefix}/",
            f"{prefix}/.",
            f"{prefix}%2F..{prefix}",
            f"/x/..{prefix}",
        ):
            assert client.get(before + path).status_code in (401, 404), before


def test_from_elsewhere_nothing_is_answered_under_a_mount_either(fresh: FastAPI) -> None:
    client = TestClient(mount_at("/errand")(fresh), base_url="http://evil.example")
    assert client.get("/errand/v1/jobs").status_code == 421


def test_the_access_log_shows_routes_without_the_prefix_and_the_job(
    fresh: FastAPI, capsys: pytest.CaptureFixture[str]
) -> None:
    with TestClient(fresh):  # which builds its stack
        fresh.middleware_stack = AccessLog(fresh.build_middleware_stack(), AccessLines(as_json=False, has_time=False))
    try:
        client = TestClient(serve_behind("/jobs", strips=True)(fresh), base_url="http://localhost")
        id = client.post("/jobs/v1/jobs/log", json=LOG).json()["id"]
        client.get("/jobs/nothing")
    finally:
        fresh.middleware_stack = fresh.build_middleware_stack()
    assert capsys.readouterr().out.splitlines() == [
        f'"POST /v1/jobs/log HTTP/1.1" 202 Accepted {id}',
        '"GET /jobs/nothing HTTP/1.1" 404 Not Found',
    ]


def test_a_path_beyond_ascii_is_escaped_in_links(fresh: FastAPI) -> None:
    client = TestClient(mount_at('/aufträge "x"')(fresh), base_url="http://localhost")
    answer = client.post("/auftr%C3%A4ge%20%22x%22/v1/jobs/log", json=LOG)
    assert answer.headers["location"] == f"/auftr%C3%A4ge%20%22x%22/v1/jobs/{answer.json()['id']}"
    assert client.get(answer.headers["location"]).status_code == 200


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_uvicorn_s_root_path_is_in_every_link(fresh: FastAPI, http: str) -> None:
    with serve(fresh, http, "/jobs") as (host, port):

        def call(path: str, body: bytes | None = None) -> Any:
            headers = {"Content-Type": "application/json"} if body else {}
            request = urllib.request.Request(f"http://{host}:{port}{path}", body, headers)
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.headers, json.loads(answer.read())

        for sent in ("", "/jobs"):  # what is left of the prefix by a proxy that strips it, and by one that does not
            headers, job = call(f"{sent}/v1/jobs/log", b'{"text": "x"}')
            assert headers["Location"] == job["links"]["self"] == f"/jobs/v1/jobs/{job['id']}"
            assert call(headers["Location"])[1]["id"] == job["id"]
            assert call(headers["Location"].removeprefix("/jobs"))[1]["id"] == job["id"]


def test_the_command_line_works_at_a_url_with_a_path(fresh: FastAPI) -> None:
    with serve(mount_at("/errand")(fresh), "h11") as (host, port):

        def run(*words: str) -> str:
            done = CliRunner().invoke(cli, words, env={"ERRAND_URL": f"http://{host}:{port}/errand", "ERRAND_KEY": ""})
            assert done.exit_code == 0, done.output
            return done.output

        batch = run("send", "log", "--batch", '[{"text": "x"}, {"text": "y"}]').split()[0]
        ids = [json.loads(line)["id"] for line in run("list", "--json", "--limit", "200").splitlines()]
        assert len(ids) == 2
        assert batch in run("status", ids[0])  # which the job's link names
        for id in ids:
            run("cancel", id)
        assert "canceled" in run("status", batch)
