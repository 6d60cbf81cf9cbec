"""What the console's buttons do, for those who may."""

import re

import pytest
from redis import Redis
from starlette.routing import Route
from starlette.testclient import TestClient

from errand.api.console.mount import build_console
from errand.api.settings import ApiSettings
from errand.api.wrong_passwords import WrongPasswords
from errand.redis import keys
from tests.api.console.conftest import FULL, OURS, READ, sign_in


def test_a_queue_is_paused_and_resumed_and_the_log_says_so(
    client: TestClient, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "errand.api")
    page = client.post("/console/queues/log/pause", headers=OURS)
    assert (page.url.path, redis.smembers(keys.PAUSED)) == ("/console/queues", {b"log"})
    assert 'action="/console/queues/log/resume"' in page.text
    client.post("/console/queues/log/resume", headers=OURS)
    assert redis.smembers(keys.PAUSED) == set()
    assert [line for line in caplog.messages if line.startswith("Console:")] == [
        "Console: queue log paused, asked for from testclient",
        "Console: queue log resumed, asked for from testclient",
    ]


def test_a_queue_that_is_not_there_can_t_be_paused(client: TestClient, redis: Redis) -> None:
    assert client.post("/console/queues/other/pause", headers=OURS).status_code == 404
    assert not redis.exists(keys.PAUSED)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}],
)
def test_what_another_site_s_page_asks_for_is_not_done(
    guarded: TestClient, redis: Redis, headers: dict[str, str]
) -> None:
    sign_in(guarded, FULL)
    assert guarded.post("/console/queues/log/pause", headers=headers).status_code == 403
    assert not redis.exists(keys.PAUSED)


def test_who_may_only_look_sees_no_button_and_changes_nothing(guarded: TestClient, redis: Redis) -> None:
    sign_in(guarded, READ)
    assert "<button" not in guarded.get("/console/queues").text.partition("<main")[2]
    answer = guarded.post("/console/queues/log/pause", headers=OURS)
    assert (answer.status_code, redis.exists(keys.PAUSED)) == (403, 0)


def test_who_has_no_session_changes_nothing(guarded: TestClient, redis: Redis) -> None:
    assert guarded.post("/console/queues/log/pause", headers=OURS).status_code == 401
    assert not redis.exists(keys.PAUSED)


def test_every_change_is_refused_to_who_may_only_look(guarded: TestClient) -> None:
    """Ask for every route that there is, so that a new one is covered."""
    sign_in(guarded, READ)
    for path in list_changes():
        assert guarded.post(path, headers=OURS).status_code == 403, path


def list_changes() -> list[str]:
    routes = [
        route
        for route in build_console(ApiSettings(ERRAND_LOCAL=True), WrongPasswords()).routes
        if isinstance(route, Route)
    ]
    paths = [route.path for route in routes if "POST" in (route.methods or ())]
    assert len(paths) > 2
    return ["/console" + re.sub(r"[{}]", "", path) for path in paths if path not in ("/login", "/logout")]
