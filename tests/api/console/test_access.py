"""Who may look at the console, and who may change things there."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from errand.api.console.access.session import SESSION_SECONDS, Sessions
from errand.api.settings import ApiSettings
from errand.api.wrong_passwords import FREE, WAIT_SECONDS
from errand.redis.settings import SettingsError
from errand.store.settings import QueueSettings
from tests.api.console.conftest import ENTRY, FULL, OURS, READ, sign_in
from tests.support.connectors import create_app
from tests.support.job_types import TYPES

COOKIE = "errand_console"
JOB = "5f0c7d1e-0000-4000-8000-000000000000"


def build(queue: QueueSettings, **settings: Any) -> TestClient:
    return TestClient(create_app(ApiSettings(**settings), queue, TYPES), base_url="http://localhost")


def test_it_is_not_there_without_a_password(queue_settings: QueueSettings) -> None:
    with build(queue_settings, API_KEYS=ENTRY) as client:
        assert client.get("/console").status_code == 404
        assert client.get("/", headers={"Accept": "text/html"}).json()["Hello"] == "World"


def test_under_errand_up_it_is_open_until_a_password_is_set(queue_settings: QueueSettings) -> None:
    with build(queue_settings, ERRAND_LOCAL=True) as client:
        assert client.get("/console/login").url.path == "/console"
    with build(queue_settings, ERRAND_LOCAL=True, CONSOLE_READ_PASSWORD=READ) as client:
        assert client.get("/console").url.path == "/console/login"


@pytest.mark.parametrize(
    "path", ["/console", "/console/jobs?status=failed", f"/console/jobs/{JOB}", "/console/search?q=x"]
)
def test_who_has_no_session_is_led_to_the_login_and_back(guarded: TestClient, path: str) -> None:
    answer = guarded.get(path)
    assert answer.status_code == 307
    page = guarded.get(answer.headers["location"])
    assert 'type="password"' in page.text
    goal = page.text.partition('name="next" value="')[2].partition('"')[0].replace("&amp;", "&")
    assert sign_in(guarded, next=goal).headers["location"] == path


@pytest.mark.parametrize("path", ["/console/live", "/console/live/jobs", f"/console/jobs/{JOB}/raw/payload"])
def test_streams_and_json_are_a_401_without_a_session(guarded: TestClient, path: str) -> None:
    assert guarded.get(path).status_code == 401


@pytest.mark.parametrize("password", [FULL, READ])
def test_each_password_opens_it(guarded: TestClient, password: str) -> None:
    assert sign_in(guarded, password).status_code == 303
    page = guarded.get("/console").text
    assert "Sign out" in page
    assert ("read only" in page) == (password == READ)


def test_the_cookie_is_for_the_console_alone_and_for_no_script(guarded: TestClient) -> None:
    value, *parts = sign_in(guarded).headers["set-cookie"].split("; ")
    assert value.startswith(f"{COOKIE}=change.")
    assert parts == ["Path=/console", f"Max-Age={SESSION_SECONDS}", "HttpOnly", "SameSite=Strict", "Secure"]


def test_the_cookie_is_marked_secure_where_the_browser_speaks_tls_and_nowhere_else(
    queue_settings: QueueSettings,
) -> None:
    with build(queue_settings, ERRAND_LOCAL=True, DASHBOARD_PASSWORD=FULL) as client:
        client.follow_redirects = False
        assert "Secure" not in sign_in(client).headers["set-cookie"]
        for headers in ({"X-Forwarded-Proto": "https"}, {"Origin": "https://errand.example.com"}):
            client.headers.update(headers)
            assert sign_in(client).headers["set-cookie"].endswith("; Secure")
            del client.headers[next(iter(headers))]


def test_signing_out_ends_the_session(guarded: TestClient) -> None:
    sign_in(guarded)
    assert guarded.post("/console/logout", headers=OURS).headers["location"] == "/console/login"
    assert guarded.get("/console").status_code == 307


@pytest.mark.parametrize("password", ["", "wrong", FULL[:-1], FULL + " ", "é\udcff"])
def test_a_wrong_password_opens_nothing(guarded: TestClient, password: str) -> None:
    data = f"password={password}".encode(errors="surrogatepass")
    form = {**OURS, "Content-Type": "application/x-www-form-urlencoded"}
    answer = guarded.post("/console/login", content=data, headers=form)
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    assert "Wrong password." in answer.text


def test_after_ten_wrong_passwords_the_right_one_has_to_wait(guarded: TestClient) -> None:
    assert [sign_in(guarded, "wrong").status_code for _ in range(FREE)] == [403] * FREE
    answer = sign_in(guarded)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= WAIT_SECONDS


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}],
)
@pytest.mark.parametrize("path", ["/console/login", "/console/logout"])
def test_a_change_that_another_site_s_page_sends_is_refused(
    guarded: TestClient, path: str, headers: dict[str, str]
) -> None:
    answer = guarded.post(path, data={"password": FULL}, headers=headers)
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize(
    "goal",
    ["https://evil.example/console", "//evil.example/console", "/console\\@evil.example", "/docs", "/consolex", "x"],
)
def test_the_login_leads_to_pages_of_the_console_alone(guarded: TestClient, goal: str) -> None:
    assert sign_in(guarded, next=goal).headers["location"] == "/console"


def test_a_large_form_is_refused(guarded: TestClient) -> None:
    assert sign_in(guarded, "x" * 10_000).status_code == 413


@pytest.mark.parametrize("claim", ["change.9999999999.", "read.1.", "other.9999999999.", "", "..", "change.x.", "é.1."])
def test_a_session_that_is_not_ours_is_none(claim: str) -> None:
    sessions = Sessions(ApiSettings(DASHBOARD_PASSWORD=FULL))
    signature = sessions.make("change").rpartition(".")[2]
    assert sessions.read(claim + signature) is None


def test_a_session_ends_in_time_and_with_its_password_and_key() -> None:
    sessions = Sessions(ApiSettings(DASHBOARD_PASSWORD=FULL))
    cookie = sessions.make("change", now=1000)
    session = sessions.read(cookie, now=1000 + SESSION_SECONDS - 1)
    assert session is not None
    assert session.may_change
    assert sessions.read(cookie, now=1000 + SESSION_SECONDS) is None
    other, same = ApiSettings(DASHBOARD_PASSWORD="another"), ApiSettings(DASHBOARD_PASSWORD=FULL, SECRET_KEY="key")
    for settings in (other, same):
        assert Sessions(settings).read(cookie, now=1000) is None


def test_a_session_that_is_half_over_is_renewed_where_it_is_used(
    guarded: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(guarded)
    assert "set-cookie" not in guarded.get("/console").headers
    monkeypatch.setattr("errand.api.console.access.session.SESSION_SECONDS", SESSION_SECONDS * 3)
    assert f"{COOKIE}=change." in guarded.get("/console").headers["set-cookie"]


def test_the_read_password_has_to_be_another_one() -> None:
    with pytest.raises(SettingsError, match="CONSOLE_READ_PASSWORD is the same"):
        ApiSettings(API_KEYS=ENTRY, DASHBOARD_PASSWORD=FULL, CONSOLE_READ_PASSWORD=FULL).check()


def test_pages_of_other_origins_may_not_read_it(queue_settings: QueueSettings) -> None:
    with build(
        queue_settings, API_KEYS=ENTRY, DASHBOARD_PASSWORD=FULL, CORS_ORIGINS="https://app.example.com"
    ) as client:
        answer = client.get("/console/login", headers={"Origin": "https://app.example.com"})
        assert "access-control-allow-origin" not in answer.headers
