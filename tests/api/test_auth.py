"""API keys."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from errand.api.http.auth import make_key
from errand.api.settings import ApiSettings
from errand.redis.settings import SettingsError, read_settings
from errand.store.settings import QueueSettings
from tests.support.connectors import create_app
from tests.support.job_types import TYPES

OPEN = ["/", "/livez", "/readyz", "/docs", "/openapi.json"]
CLOSED = [
    ("POST", "/v1/jobs/log"),
    ("POST", "/v1/jobs/log?delay_seconds=5"),
    ("POST", "/v1/jobs/nothing"),
    ("GET", "/v1/jobs/5f0c7d1e-0000-4000-8000-000000000000"),
    ("POST", "/v1/jobs/5f0c7d1e-0000-4000-8000-000000000000/requeue"),
    ("POST", "/v1/queues/log/requeue"),
    ("POST", "/v1/batches/log"),
    ("GET", "/v1/batches/5f0c7d1e-0000-4000-8000-000000000000"),
    ("POST", "/send-notification/ada@example.com?message=x"),
    ("POST", "/items/7/process"),
]
SECRET, ENTRY = make_key("ops")
OTHER_SECRET, OTHER_ENTRY = make_key("ci")


@pytest.fixture
def keyed(queue_settings: QueueSettings) -> Iterator[TestClient]:
    """The API with two keys, as in production."""
    app = create_app(ApiSettings(API_KEYS=f"{ENTRY}, {OTHER_ENTRY}"), queue_settings, TYPES)
    with TestClient(app, base_url="https://errand.example.com") as client:
        yield client


@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize("header", [None, "Bearer", "Bearer wrong", "Basic SECRET", "SECRET", "Bearer é"])
def test_without_a_known_key_it_is_a_401(keyed: TestClient, method: str, path: str, header: str | None) -> None:
    headers = {b"Authorization": header.replace("SECRET", SECRET).encode()} if header else {}
    answer = keyed.request(method, path, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("secret", [SECRET, OTHER_SECRET], ids=["one", "other"])
def test_each_known_key_opens(keyed: TestClient, secret: str) -> None:
    answer = keyed.post("/v1/jobs/log", json={"text": "x"}, headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 202


def test_every_operation_but_the_open_ones_asks_for_a_key(keyed: TestClient) -> None:
    operations = [
        (method, path)
        for path, found in keyed.get("/openapi.json").json()["paths"].items()
        for method in found
        if path not in OPEN
    ]
    assert len(operations) > 30
    for method, path in operations:
        assert keyed.request(method, path.replace("{", "").replace("}", "")).status_code == 401, (method, path)


@pytest.mark.parametrize("path", OPEN)
def test_what_holds_no_job_needs_no_key(keyed: TestClient, path: str) -> None:
    assert keyed.get(path).status_code == 200


def test_a_key_is_a_name_and_the_hash_of_its_secret() -> None:
    assert SECRET not in ENTRY
    assert [name for name, _ in ApiSettings(API_KEYS=ENTRY).hashes] == ["ops"]


@pytest.mark.parametrize("keys", ["ops", "ops:123", "ENTRY;ENTRY", "ENTRY,"])
def test_malformed_keys_are_shown_with_the_way_to_make_one(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("API_KEYS", keys.replace("ENTRY", ENTRY))
    with pytest.raises(SettingsError, match=r"API_KEYS is wrong \(the API\): .* errand key NAME"):
        read_settings(ApiSettings, "the API")


def test_without_keys_it_starts_only_under_errand_up(queue_settings: QueueSettings) -> None:
    with pytest.raises(SettingsError, match="API_KEYS is not set"):
        create_app(ApiSettings(), queue_settings, TYPES)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.1:8000", "localhost:1", "[::1]:8000", "[::1]"])
def test_without_keys_loopback_hosts_are_served(client: TestClient, host: str) -> None:
    assert client.get("/livez", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil", ""])
def test_without_keys_other_hosts_are_refused(client: TestClient, host: str) -> None:
    assert client.get("/livez", headers={"Host": host}).status_code == 421


def test_a_connection_that_came_in_elsewhere_is_refused_whatever_its_host_says(queue_settings: QueueSettings) -> None:
    app = create_app(ApiSettings(ERRAND_LOCAL=True), queue_settings, TYPES)
    with TestClient(app, base_url="http://192.0.2.1:8000") as outside:
        assert outside.get("/livez", headers={"Host": "localhost"}).status_code == 421


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_without_keys_another_sites_page_can_change_nothing(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/items/7/process", headers=headers).status_code == 403


def test_without_keys_our_own_docs_page_can_post(client: TestClient) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
    assert client.post("/v1/jobs/log", json={"text": "x"}, headers=headers).status_code == 202
