"""Dashboard and /docs of an API that is mounted in another application, in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from redis import Redis

from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from tests.api.stored import Stored
from tests.api.under import mount_at
from tests.browser.conftest import open_tab
from tests.support.api_server import serve
from tests.support.connectors import create_app
from tests.support.job_types import WITH_TUTORIAL

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, queue_settings: QueueSettings) -> Iterator[Page]:
    """A tab over an application with the API at /shop/errand."""
    app = create_app(ApiSettings(ERRAND_LOCAL=True), queue_settings, WITH_TUTORIAL)
    outer: Any = mount_at("/errand", "/shop")(app)
    outer.router.lifespan_context = lambda _: app.router.lifespan_context(app)  # Starlette starts no mounted one itself
    with serve(outer, "h11") as (host, port), open_tab(browser, f"http://{host}:{port}") as page:
        yield page


def test_the_dashboard_s_links_and_buttons_work_under_a_mount(page: Page, redis: Redis, tmp_path: Path) -> None:
    job = Stored(redis).failed()
    page.goto("/shop/errand/dashboard")
    page.locator("td.failed a").first.click()
    page.get_by_role("link", name=job.id).click()
    expect(page.locator("#job-data")).to_contain_text("ValueError: invalid literal for int()")
    page.screenshot(path=tmp_path / "dashboard.png")
    with page.expect_response(lambda answer: answer.url.endswith("/requeue")) as answer:
        page.locator("#requeue-job-btn").click()
    assert answer.value.status == 200
    assert job.get_status(refresh=True) == "queued"


def test_the_docs_try_a_request_under_a_mount(page: Page, tmp_path: Path) -> None:
    page.goto("/shop/errand/docs")
    page.locator("[id$=read_root]").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".request-url")).to_contain_text("/shop/errand/")
    expect(page.locator(".live-responses-table td.response-col_description:not(.col_header)")).to_contain_text(
        "/shop/errand/dashboard"
    )
    page.screenshot(path=tmp_path / "docs.png")


def test_the_console_is_live_under_a_mount(page: Page, redis: Redis) -> None:
    page.goto("/shop/errand/console")
    expect(page.locator("#connection")).to_have_text("Live")
    job = Stored(redis).failed()
    expect(page.locator(".count.is-failed .value")).to_have_text("1", timeout=20_000)
    page.get_by_role("link", name="failed", exact=False).first.click()
    page.get_by_role("link", name=f"Job {job.id}").click()
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.locator(".error")).to_contain_text("ValueError: invalid literal for int()")
