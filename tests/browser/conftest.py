"""Debian's chromium over a real API."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.services import Services

SWITCHES = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")


@pytest.fixture(autouse=True)
def _patience() -> Iterator[None]:
    """Give what a page shows time on a busy machine."""
    expect.set_options(timeout=20_000)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=[*SWITCHES, "--disable-component-update", "--disable-sync"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, services: Services) -> Iterator[Page]:
    """A tab over the API; a page that complains on its console, of its content policy too, fails the test."""
    services.start_api()
    with open_tab(browser, services.base_url) as page:
        yield page


@contextmanager
def open_tab(browser: Browser, url: str, but_for: str | None = None, **options: Any) -> Iterator[Page]:
    """Open a tab over an application; a complaint on its console without `but_for` in it fails the test."""
    context = browser.new_context(base_url=url, **{"viewport": {"width": 1280, "height": 900}, **options})
    page = context.new_page()
    with collect_complaints(page, but_for):
        yield page
    context.close()


@contextmanager
def collect_complaints(page: Page, but_for: str | None = None) -> Iterator[None]:
    """Fail where a page complains on its console, of its content policy too; `but_for` is in what is expected."""
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield
    assert [text for text in complaints if but_for is None or but_for not in text] == []
