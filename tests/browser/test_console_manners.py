"""How the console behaves in a tab that is left open, in the background, and under the keyboard."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from starlette.types import ASGIApp

from errand.api.console.live import stream
from errand.api.console.render import Renderer
from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from tests.browser.conftest import collect_complaints
from tests.support.api_server import serve
from tests.support.connectors import create_app
from tests.support.job_types import TYPES
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

PASSWORD = "a password"
HIDE = """isHidden => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def app(queue_settings: QueueSettings) -> ASGIApp:
    return create_app(ApiSettings(ERRAND_LOCAL=True), queue_settings, TYPES)


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def expect_state(tab: Page, state: str) -> None:
    expect(tab.locator("#connection")).to_have_text(state, timeout=20_000)


def test_an_open_page_outlives_the_api_and_loads_itself_again_for_another_version(
    tab: Page, app: ASGIApp, queue_settings: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = tab.locator("body[data-same]")
    with serve(app, "h11") as (host, port):
        tab.goto(f"http://{host}:{port}/console/jobs")
        expect_state(tab, "Live")
        tab.evaluate("document.body.dataset.same = true")
    expect_state(tab, "Reconnecting")
    with serve(app, "h11", port=port):
        expect_state(tab, "Live")
        expect(same).to_have_count(1)
        tab.get_by_label("Tag", exact=True).fill("typed")
    for version in ("second", "third"):
        expect_state(tab, "Reconnecting")
        monkeypatch.setattr(Renderer, "version", version)
        with serve(create_app(ApiSettings(ERRAND_LOCAL=True), queue_settings, TYPES), "h11", port=port):
            if version == "second":
                expect_state(tab, "Live")
                expect(same).to_have_count(1)
                tab.reload()
                tab.evaluate("document.body.dataset.same = true")
            expect(same).to_have_count(int(version == "second"), timeout=20_000)
            expect_state(tab, "Live")


def test_a_page_whose_session_has_ended_leads_to_the_login_and_back(
    tab: Page, queue_settings: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "STREAM_SECONDS", 0.5)
    monkeypatch.setattr(stream, "COMMENT_SECONDS", 0.5)
    app = create_app(ApiSettings(ERRAND_LOCAL=True, DASHBOARD_PASSWORD=PASSWORD), queue_settings, TYPES)
    with serve(app, "h11") as (host, port):
        here = f"http://{host}:{port}/console/jobs?status=failed"
        tab.goto(here)
        for _ in range(2):
            tab.get_by_label("Password").fill(PASSWORD)
            tab.get_by_role("button", name="Sign in").click()
            expect(tab).to_have_url(here)
            expect_state(tab, "Live")
            tab.context.clear_cookies()
        expect(tab.get_by_label("Password")).to_be_visible(timeout=20_000)


def test_a_page_whose_scripts_come_slowly_is_live_by_one_stream(tab: Page, app: ASGIApp) -> None:
    with serve(app, "h11") as (host, port), collect_complaints(tab):
        held: list[Route] = []
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.route("**/hx-sse.min.js", lambda route: held.append(route))
        tab.goto(f"http://{host}:{port}/console/jobs", wait_until="commit")
        wait_until(lambda: tab.evaluate("'htmx' in window") and held)
        tab.wait_for_timeout(50)  # for htmx to look at the page, which nothing shows
        held[0].continue_()
        expect_state(tab, "Live")
        tab.wait_for_timeout(200)
        assert len([url for url in asked if "/live/" in url]) == 1


def test_a_page_without_live_parts_is_live_though_its_last_script_comes_late(tab: Page, app: ASGIApp) -> None:
    with serve(app, "h11") as (host, port):
        held: list[Route] = []
        tab.route("**/new.js*", lambda route: held.append(route))
        with tab.expect_response("**/live/**"):  # htmx has the stream, on which nothing will come
            tab.goto(f"http://{host}:{port}/console/new/tally", wait_until="commit")
        wait_until(lambda: tab.evaluate("'htmx' in window") and held)
        tab.wait_for_timeout(200)
        held[0].continue_()
        expect_state(tab, "Live")


def test_a_tab_in_the_background_has_no_stream_until_it_is_looked_at(tab: Page, app: ASGIApp) -> None:
    with serve(app, "h11") as (host, port), collect_complaints(tab):
        with tab.expect_request("**/live/jobs?*") as first:
            tab.goto(f"http://{host}:{port}/console/jobs")
        expect_state(tab, "Live")
        with tab.expect_event("requestfailed") as ended:
            tab.evaluate(HIDE, True)
        assert ended.value == first.value
        with tab.expect_request("**/live/jobs?*"):
            tab.evaluate(HIDE, False)
        expect_state(tab, "Live")


def test_keys_open_the_help_search_and_lead_from_page_to_page(tab: Page, app: ASGIApp) -> None:
    with serve(app, "h11") as (host, port), collect_complaints(tab):
        tab.goto(f"http://{host}:{port}/console")
        tab.keyboard.press("?")
        expect(tab.get_by_role("dialog", name="Help")).to_contain_text("A worker runs it.")
        tab.keyboard.press("Escape")
        expect(tab.get_by_role("dialog")).to_be_hidden()
        tab.get_by_role("link", name="Help").click()
        tab.get_by_role("button", name="Close").click()
        expect(tab.get_by_role("dialog")).to_be_hidden()
        tab.keyboard.press("/")
        expect(tab.get_by_role("searchbox")).to_be_focused()
        tab.keyboard.type("?gj")
        expect(tab.get_by_role("searchbox")).to_have_value("?gj")
        tab.keyboard.press("Escape")
        tab.keyboard.type("gj")
        expect(tab).to_have_url(f"http://{host}:{port}/console/jobs")
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        expect(tab.locator("#main")).to_be_focused()
