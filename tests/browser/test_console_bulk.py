"""Choosing jobs in the console's list, and what is done to them, in a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from errand.api.console.changes import jobs as changes
from errand.api.settings import ApiSettings
from errand.store.bulk import bulk
from errand.store.settings import QueueSettings
from tests.browser.conftest import open_tab
from tests.support.api_server import serve
from tests.support.connectors import create_app
from tests.support.job_types import TYPES
from tests.support.services import Services

pytestmark = pytest.mark.browser


def find_box(page: Page, job: str) -> Locator:
    return page.locator(f"#job-{job} input")


def test_ticks_stay_while_rows_come_and_what_is_ticked_is_canceled(page: Page, services: Services) -> None:
    jobs = [services.post("echo", {"value": number}) for number in range(3)]
    page.goto("/console/jobs")
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.get_by_role("button", name="Cancel")).to_be_disabled()
    find_box(page, jobs[0]).focus()
    page.keyboard.press("Space")
    find_box(page, jobs[1]).check()
    newer = services.post("echo", {"value": 3})
    expect(page.locator(f"#job-{newer}")).to_be_visible()
    expect(page.locator("#s-count")).to_have_text("4 jobs")
    expect(page.locator("#ticked")).to_have_text("2 ticked")
    assert [find_box(page, job).is_checked() for job in (*jobs, newer)] == [True, True, False, False]
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="Cancel 2 jobs?")).to_be_visible()
    page.get_by_role("button", name="Cancel them").click()
    expect(page.locator("#notice")).to_contain_text("Jobs canceled: 2.")
    services.start_worker()
    expect(page.locator("#s-list .pill.is-finished")).to_have_count(2)
    expect(page.locator("#s-list .pill.is-canceled")).to_have_count(2)


@pytest.fixture
def tab(browser: Browser, queue_settings: QueueSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A tab over an application that does two jobs a request."""
    monkeypatch.setattr(changes, "WORK_SECONDS", 0)
    monkeypatch.setattr(bulk, "SLICE", 2)
    app = create_app(ApiSettings(ERRAND_LOCAL=True), queue_settings, TYPES)
    with serve(app, "h11") as (host, port), open_tab(browser, f"http://{host}:{port}") as page:
        yield page


def post(tab: Page) -> str:
    answer = tab.request.post("/v1/jobs/log", data={"text": "x"})
    assert answer.status == 202
    return str(answer.json()["id"])


def test_what_has_left_the_page_stays_ticked(tab: Page) -> None:
    job, other = post(tab), post(tab)
    tab.goto("/console/jobs?status=queued")
    expect(tab.locator("#connection")).to_have_text("Live")
    tab.get_by_label("All on this page").check()
    tab.request.delete(f"/v1/jobs/{job}")
    expect(tab.locator(f"#job-{job}")).to_have_count(0)
    expect(tab.locator("#ticked")).to_have_text("2 ticked, 1 not on this page")
    tab.get_by_role("button", name="Delete").click()
    expect(tab.get_by_role("heading", name="Delete 1 job?")).to_be_visible()
    expect(tab.locator("main")).to_contain_text(other)


def test_a_range_is_ticked_with_shift(tab: Page) -> None:
    jobs = [post(tab) for _ in range(4)]
    tab.goto("/console/jobs")
    find_box(tab, jobs[3]).check()
    find_box(tab, jobs[1]).click(modifiers=["Shift"])
    expect(tab.locator("#ticked")).to_have_text("3 ticked")
    assert not find_box(tab, jobs[0]).is_checked()


def test_all_that_match_are_done_page_by_page_by_the_one_button(tab: Page) -> None:
    for _ in range(5):
        post(tab)
    tab.goto("/console/jobs?type=log")
    tab.get_by_label("that match").check()
    tab.get_by_role("button", name="Cancel").click()
    expect(tab.get_by_role("heading", name="Cancel 5 jobs?")).to_be_visible()
    tab.get_by_role("button", name="Cancel them").click()
    expect(tab.locator("#notice")).to_contain_text("Jobs canceled: 5.")
    expect(tab.locator("#s-list .pill.is-canceled")).to_have_count(5)


def test_an_address_from_elsewhere_begins_nothing(tab: Page) -> None:
    post(tab)
    tab.goto("/console/jobs/many?verb=delete&before=2099-01-01T00:00:00Z&taken=1")
    expect(tab.locator("#connection")).to_have_text("Live")
    expect(tab.get_by_role("button", name="Go on deleting")).to_be_visible()
    expect(tab.locator("#goes-on")).to_be_hidden()
