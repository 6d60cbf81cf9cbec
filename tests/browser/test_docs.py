"""/docs in a real browser."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_the_docs_need_no_other_server(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/docs")
    expect(page.locator("[id*=email]").first).to_be_visible()
    origin = page.url.removesuffix("/docs")
    assert [url for url in asked if not url.startswith((origin, "data:"))] == []
