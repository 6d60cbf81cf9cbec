"""Who sees the dashboard, and who changes something there."""

import base64
import hashlib
import logging
import sys
from typing import Any

import pytest
import rq_dashboard.web as web
from redis import Redis
from starlette.testclient import TestClient, WebSocketDenialResponse

from errand.api.dashboard.patches import build_dashboard
from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from tests.api.stored import Stored
from tests.support.connectors import create_app
from tests.support.job_types import TYPES

KEYS = "ci:" + hashlib.sha256(b"secret").hexdigest()
PASSWORD = "grün & secret:1"


def build(queue_settings: QueueSettings, base_url: str = "http://localhost", **settings: Any) -> TestClient:
    app = create_app(ApiSettings(**settings), queue_settings, TYPES)
    return TestClient(app, base_url=base_url, raise_server_exceptions=False)


def encode(credentials: str) -> str:
    return "Basic " + base64.b64encode(credentials.encode()).decode()


@pytest.fixture
def guarded(queue_settings: QueueSettings) -> TestClient:
    """As deployed: keys, a password, any host name."""
    return build(queue_settings, "https://errand.example", API_KEYS=KEYS, DASHBOARD_PASSWORD=PASSWORD)


@pytest.mark.parametrize("path", ["/", "/0/view/queues", "/0/data/queues.json", "/static/css/main.css", "/no/such"])
def test_without_the_password_nothing_is_shown(guarded: TestClient, path: str) -> None:
    answer = guarded.get(f"/dashboard{path}")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("user", ["", "admin", "jörg"])
def test_the_password_opens_it_under_any_user_name(guarded: TestClient, user: str) -> None:
    answer = guarded.get("/dashboard/", headers={"Authorization": encode(f"{user}:{PASSWORD}")})
    assert answer.status_code == 200


def test_the_scheme_is_read_in_any_case(guarded: TestClient) -> None:
    header = encode(f"x:{PASSWORD}").replace("Basic", "bAsIc")
    assert guarded.get("/dashboard/", headers={"Authorization": header}).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        encode("admin:wrong"),
        encode("admin:"),
        encode(PASSWORD),  # no user name, no colon of its own
        encode(f"admin:{PASSWORD} "),
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YQ",
        "Basic \xfc\xff",
        "Basic /////w==",
        "Bearer secret",
        "\xff",
        "",
    ],
)
def test_a_wrong_or_malformed_password_is_a_401(guarded: TestClient, header: str) -> None:
    answer = guarded.get("/dashboard/", headers=[(b"authorization", header.encode("latin-1"))])
    assert answer.status_code == 401


def test_a_password_of_the_old_encoding_is_a_401(guarded: TestClient) -> None:
    header = "Basic " + base64.b64encode(f"x:{PASSWORD}".encode("latin-1")).decode()
    assert guarded.get("/dashboard/", headers={"Authorization": header}).status_code == 401


def test_an_api_key_does_not_open_it(guarded: TestClient) -> None:
    assert guarded.get("/dashboard/", headers={"Authorization": "Bearer secret"}).status_code == 401


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:hid@den@host:6379/0", "redis://host:6379/0"),
        ("rediss://user:hidden@host:6379/0?ssl_cert_reqs=none", "rediss://host:6379/0"),
        ("redis://host?password=hidden", "redis://host"),
        ("unix:///tmp/valkey.sock", "unix:///tmp/valkey.sock"),
    ],
)
def test_the_url_of_redis_is_shown_without_its_password(url: str, shown: str) -> None:
    shown_by_it = web.escape_format_instance_list(build_dashboard(url, {}).config["RQ_DASHBOARD_REDIS_URL"])
    assert shown_by_it == [shown]


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/", "/dashboard/0/data/queues.json"])
def test_without_a_password_set_it_is_not_there(queue_settings: QueueSettings, path: str) -> None:
    assert build(queue_settings, API_KEYS=KEYS).get(path).status_code == 404


def test_under_errand_up_a_set_password_is_asked_for(queue_settings: QueueSettings) -> None:
    local = build(queue_settings, ERRAND_LOCAL=True, DASHBOARD_PASSWORD=PASSWORD)
    assert local.get("/dashboard/").status_code == 401


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000"])
def test_under_errand_up_it_is_open_for_a_loopback_host(client: TestClient, host: str) -> None:
    assert client.get("/dashboard/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8000", ""])
def test_under_errand_up_it_is_shut_for_another_host(client: TestClient, host: str) -> None:
    assert client.get("/dashboard/", headers={"Host": host}).status_code == 421


OWN_PAGES = [
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://elsewhere.example"},  # a proxy that changes Host
    {"Origin": "https://errand.example"},
]
OTHERS = [
    {},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://errand.example"},
    {"Origin": "https://evil.example"},
    {"Origin": "https://errand.example.evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
]
CHANGES = [
    "/job/{id}/delete",
    "/job/{id}/requeue",
    "/requeue/default",
    "/queue/default/failed/empty",
    "/queue/default/compact",
]


@pytest.mark.parametrize("scheme", ["https", "http"])  # behind a proxy that ends TLS the API sees plain http
@pytest.mark.parametrize("headers", OWN_PAGES)
def test_its_own_pages_change_something(
    queue_settings: QueueSettings, redis: Redis, headers: dict[str, str], scheme: str
) -> None:
    app = build(queue_settings, f"{scheme}://errand.example", API_KEYS=KEYS, DASHBOARD_PASSWORD=PASSWORD)
    job = Stored(redis).failed()
    sent = {"Authorization": encode(f":{PASSWORD}"), **headers}
    assert app.post(f"/dashboard/job/{job.id}/delete", headers=sent).json() == {"status": "OK"}
    assert not redis.exists(job.key)


@pytest.mark.parametrize("headers", OTHERS)
def test_another_site_changes_nothing(guarded: TestClient, redis: Redis, headers: dict[str, str]) -> None:
    job = Stored(redis).failed()
    for path in CHANGES:
        sent = {"Authorization": encode(f":{PASSWORD}"), **headers}
        assert guarded.post(f"/dashboard{path.format(id=job.id)}", headers=sent).status_code == 403
    assert job.get_status() == "failed"


def test_another_site_changes_nothing_under_errand_up(client: TestClient, redis: Redis) -> None:
    job = Stored(redis).failed()
    for path in CHANGES:
        assert client.post(f"/dashboard{path.format(id=job.id)}").status_code == 403
    assert job.get_status() == "failed"


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_get_changes_nothing(client: TestClient, redis: Redis, method: str, path: str) -> None:
    job = Stored(redis).failed()
    answer = client.request(method, f"/dashboard{path.format(id=job.id)}", headers={"Sec-Fetch-Site": "same-origin"})
    assert (answer.status_code, job.get_status()) == (405, "failed")


def test_a_websocket_is_refused(guarded: TestClient) -> None:
    headers = {"Authorization": encode(f":{PASSWORD}")}
    with pytest.raises(WebSocketDenialResponse), guarded.websocket_connect("/dashboard/", headers=headers):
        pass


@pytest.mark.parametrize("name", ["rq_dashboard", "a2wsgi", "errand.api.dashboard.patches"])
def test_a_dashboard_that_can_t_be_imported_leaves_the_api(
    queue_settings: QueueSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    for module in [module for module in sys.modules if module.split(".")[0] == "rq_dashboard"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, "errand.api.dashboard.patches", raising=False)
    monkeypatch.setitem(sys.modules, name, None)
    with caplog.at_level(logging.ERROR):
        app = build(queue_settings, ERRAND_LOCAL=True)
    assert (app.get("/livez").status_code, app.get("/dashboard/").status_code) == (200, 404)
    assert app.get("/dashboard").status_code == 404
    assert "The dashboard can't be built" in caplog.text
