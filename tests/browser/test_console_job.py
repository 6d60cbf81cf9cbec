"""One job in a real browser, from the form that makes it to its second run with another payload."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import open_tab
from tests.support.services import Services

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, services: Services) -> Iterator[Page]:
    """A tab over the API, which may use the clipboard; a form with a mistake comes back as a 422."""
    services.start_api()
    permissions = ["clipboard-read", "clipboard-write"]
    with open_tab(browser, services.base_url, "status of 422", permissions=permissions) as page:
        yield page


def test_a_job_is_made_in_a_form_fails_and_is_mended(page: Page, services: Services, tmp_path: Path) -> None:
    page.goto("/console/jobs")
    page.get_by_role("link", name="New job").click()
    page.get_by_role("link", name="fail", exact=True).click()
    page.get_by_label("ledger").fill(f"{tmp_path}/it's here")
    page.get_by_label("succeed_at").fill("soon")
    page.get_by_role("button", name="Post job").click()
    expect(page.get_by_label("succeed_at")).to_have_value("soon")
    expect(page.locator("[id='e-p.succeed_at']")).to_contain_text("Input should be a valid integer")
    page.get_by_label("succeed_at").fill("2")
    page.get_by_label("permanent").select_option("true")
    expect(page.locator("#curl")).to_contain_text(f"""curl {services.base_url}/v1/jobs/fail \\""")
    expect(page.locator("#curl")).to_contain_text(f"""{{"ledger": "{tmp_path}/it'"'"'s here", "permanent": true, """)
    page.get_by_role("button", name="Post job").click()
    expect(page.locator("#notice")).to_have_text("The job is stored.")
    services.start_worker()
    expect(page.locator(".title .pill")).to_have_text("failed")
    page.get_by_role("link", name="Edit payload…").click()
    text = page.locator("#payload")
    text.fill(text.input_value().replace('"permanent": true', '"permanent": 7'))
    page.get_by_role("button", name="Requeue with this payload").click()
    expect(page.locator("#payload-errors")).to_contain_text("#/permanent")
    text.fill(text.input_value().replace('"permanent": 7', '"permanent": false'))
    page.get_by_role("button", name="Requeue with this payload").click()
    expect(page.locator(".title .pill")).to_have_text("finished")
    expect(page.locator(".step.is-edited")).to_contain_text("changed: permanent")
    expect(page.locator(".steps")).to_contain_text("Attempt 2 finished")
    page.get_by_role("button", name="Run as a new job").dblclick()
    expect(page.locator("#notice")).to_contain_text("This is the new job")
    expect(page.locator(".title .pill")).to_have_text("scheduled")
    page.get_by_role("button", name="Cancel").dblclick()
    expect(page.locator("#notice")).to_have_text("The job is canceled.")
    expect(page.locator(".title .pill")).to_have_text("canceled")
    page.locator("#do-delete summary").click()
    page.get_by_role("button", name="Delete this job").click()
    expect(page.locator("#notice")).to_have_text("The job is deleted.")


def test_a_job_that_runs_is_stopped_and_a_value_and_its_path_are_copied(page: Page, services: Services) -> None:
    job = services.post("echo", {"value": {"deep": [{"a b": 7}, "x" * 3000]}})
    page.goto(f"/console/jobs/{job}")
    for element, copied in (
        (page.locator("#s-payload .is-number"), "7"),
        (page.locator("#s-payload .key", has_text="a b"), 'value.deep[0]["a b"]'),
        (page.locator("#s-payload .value[data-cut]"), "x" * 3000),
    ):
        element.click(position={"x": 2, "y": 2})
        expect(element).to_have_attribute("data-copied", "path copied" if copied.startswith("value.") else "copied")
        assert page.evaluate("navigator.clipboard.readText()") == copied
    sleeping = services.post("sleep", {"seconds": 8})
    services.start_worker()
    page.goto(f"/console/jobs/{sleeping}")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#notice")).to_contain_text("was asked to stop")
    expect(page.locator(".title .pill")).to_have_text("stopped")
