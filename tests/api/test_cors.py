"""`CORS_ORIGINS`: pages of other origins call the API from a browser."""

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient

from errand.api.http.auth import make_key
from errand.api.settings import ApiSettings
from errand.redis.settings import SettingsError, read_settings
from errand.store.settings import QueueSettings
from tests.support.connectors import create_app
from tests.support.job_types import TYPES

ORIGIN, OTHER = "https://app.example.com", "https://evil.example.com"
SECRET, ENTRY = make_key("ops")
ALLOW, EXPOSE = "access-control-allow-origin", "access-control-expose-headers"

Build = Callable[..., TestClient]


@pytest.fixture
def build(queue_settings: QueueSettings) -> Build:
    """Return a client of an API with such settings."""

    def call(**settings: Any) -> TestClient:
        app = create_app(ApiSettings(**settings), queue_settings, TYPES)
        return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)

    return call


def ask_first(client: TestClient, method: str, headers: str, path: str = "/v1/jobs/log", origin: str = ORIGIN) -> Any:
    """Do as a browser before such a request."""
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return client.options(path, headers={"Origin": origin, **asked})


def test_a_page_may_post_and_read_the_answers_headers(build: Build) -> None:
    with build(API_KEYS=ENTRY, CORS_ORIGINS=f"{ORIGIN}, http://localhost:3000") as client:
        headers = "authorization, content-type, idempotency-key, prefer"
        first = ask_first(client, "POST", headers)
        assert (first.status_code, first.headers[ALLOW]) == (200, ORIGIN)
        sent = {"Origin": ORIGIN, "Authorization": f"Bearer {SECRET}"}
        posted = client.post("/v1/jobs/log", json={"text": "x"}, headers=sent)
        assert (posted.status_code, posted.headers[ALLOW]) == (202, ORIGIN)
        assert {"Location", "Retry-After", "ETag", "X-Request-ID"} <= set(posted.headers[EXPOSE].split(", "))
        assert "access-control-allow-credentials" not in posted.headers


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_every_method_and_header_of_the_api_may_be_sent(build: Build, method: str) -> None:
    with build(API_KEYS=ENTRY, CORS_ORIGINS=ORIGIN) as client:
        assert ask_first(client, method, "if-none-match, last-event-id, x-request-id").status_code == 200


def test_a_page_can_read_every_problem(build: Build, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    with build(API_KEYS=ENTRY, CORS_ORIGINS=ORIGIN) as client:
        key = {"Origin": ORIGIN, "Authorization": f"Bearer {SECRET}"}
        found = [
            client.get("/v1/jobs", headers={"Origin": ORIGIN}),
            client.post("/v1/jobs/log", json={"text": 1}, headers=key),
            client.get("/nowhere", headers=key),
        ]
        store: Any = client.app.state.store  # type: ignore[attr-defined]
        monkeypatch.setattr(store.enqueuer.memory, "check", _break)
        found.append(client.post("/v1/jobs/log", json={"text": "x"}, headers=key))
    assert [answer.status_code for answer in found] == [401, 422, 404, 500]
    assert [answer.headers.get(ALLOW) for answer in found] == [ORIGIN] * 4


async def _break() -> None:
    raise RuntimeError("a bug")


def test_a_page_of_another_origin_reads_nothing(build: Build) -> None:
    with build(API_KEYS=ENTRY, CORS_ORIGINS=ORIGIN) as client:
        assert ALLOW not in client.get("/livez", headers={"Origin": OTHER}).headers
        assert ask_first(client, "POST", "content-type", origin=OTHER).status_code == 400


def test_unset_there_are_no_such_headers(build: Build) -> None:
    with build(API_KEYS=ENTRY) as client:
        assert not [name for name in client.get("/livez", headers={"Origin": ORIGIN}).headers if "access" in name]
        assert ask_first(client, "POST", "content-type").status_code == 405


def test_the_dashboard_stays_its_own(build: Build) -> None:
    with build(API_KEYS=ENTRY, DASHBOARD_PASSWORD="x", CORS_ORIGINS="*") as client:
        for path in ("/dashboard", "/dashboard/queues/x/empty"):
            answer = client.post(path, headers={"Origin": ORIGIN}, auth=("", "x"))
            assert ALLOW not in answer.headers
        assert client.get("/livez", headers={"Origin": ORIGIN}).headers[ALLOW] == "*"


@pytest.mark.parametrize("path", ["/errand/dashboard/", "/errand/errand/dashboard/"])
def test_the_dashboard_stays_its_own_under_a_path_stripped_or_not(build: Build, path: str) -> None:
    with build(API_KEYS=ENTRY, DASHBOARD_PASSWORD="x", CORS_ORIGINS="*") as client:
        client = TestClient(client.app, base_url="http://localhost", root_path="/errand")
        answer = client.get(path, headers={"Origin": ORIGIN}, auth=("", "x"))
        assert ALLOW not in answer.headers


def test_without_keys_a_named_page_may_read_and_change_nothing(build: Build) -> None:
    with build(ERRAND_LOCAL=True, CORS_ORIGINS=ORIGIN) as client:
        sent = {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}
        refused = client.post("/v1/jobs/log", json={"text": "x"}, headers=sent)
        assert (refused.status_code, refused.headers[ALLOW]) == (403, ORIGIN)
        rebound = client.get("/v1/jobs", headers={"Origin": OTHER, "Host": "evil.example.com"})
        assert (rebound.status_code, ALLOW in rebound.headers) == (421, False)


@pytest.mark.parametrize(
    "text",
    ["app.example.com", f"{ORIGIN}/", f"{ORIGIN},", "https://App.example.com", f"{ORIGIN}:443", "https://*.x.com"],
)
def test_what_no_browser_sends_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("CORS_ORIGINS", text)
    with pytest.raises(SettingsError, match="CORS_ORIGINS"):
        read_settings(ApiSettings, "the API")


def test_every_origin_is_refused_without_keys() -> None:
    with pytest.raises(SettingsError, match=r"CORS_ORIGINS is \* and API_KEYS is not set"):
        ApiSettings(ERRAND_LOCAL=True, CORS_ORIGINS="*").check()
