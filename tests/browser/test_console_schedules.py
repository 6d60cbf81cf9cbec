"""Schedules and batches of the console in a real browser, over a real API and a real worker."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.services import Services

pytestmark = pytest.mark.browser


def test_a_schedule_is_made_run_and_seen_in_its_strip(page: Page, services: Services) -> None:
    services.start_worker()
    page.goto("/console/schedules")
    page.get_by_role("link", name="New schedule").click()
    page.get_by_label("Name").fill("echoes")
    page.get_by_label("Job type").select_option("echo")
    page.get_by_label("Payload").fill('{"value": 7}')
    page.get_by_label("Cron", exact=True).fill("0 7 * * MON-FRI")
    page.get_by_role("button", name="Show next runs").click()
    expect(page.locator(".preview time[data-age]")).to_have_count(5)
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#s-next time[data-age]")).to_have_count(5)
    page.get_by_role("button", name="Run now").click()
    run = page.get_by_role("link", name="finished")
    expect(run).to_have_class("run is-finished")
    page.get_by_text("As a table").click()
    expect(page.get_by_role("cell", name="by hand")).to_be_visible()
    run.click()
    expect(page.locator("#s-result")).to_contain_text("7")


def test_a_batch_moves_to_its_end_without_a_reload(page: Page, services: Services) -> None:
    page.goto("/console/batches")
    id = services.call("POST", "/v1/batches/echo", {"items": [{"value": 1}] * 30}).body["id"]
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=f"Batch {id}"))
    expect(row).to_contain_text("0 %")
    page.evaluate("window.same = 1")
    services.start_worker()
    expect(row).to_contain_text("100 %")
    expect(row).to_contain_text("finished")
    assert page.evaluate("window.same") == 1
    row.get_by_role("link", name=f"Batch {id}").click()
    expect(page.get_by_role("img", name="100 % ended: 30 finished, 0 remaining")).to_be_visible()
