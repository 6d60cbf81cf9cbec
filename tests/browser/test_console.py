"""The console in a real browser, over a real API and a real worker."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from redis import Redis

from errand.api.settings import ApiSettings
from errand.local.valkey import EmbeddedValkey
from errand.store.settings import QueueSettings
from tests.api.stored import Stored
from tests.browser.conftest import open_tab
from tests.support.api_server import serve
from tests.support.connectors import create_app
from tests.support.job_types import TYPES
from tests.support.services import Services

pytestmark = pytest.mark.browser

SCRIPT = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"
PASSWORD = "a password"
PAGES = ["/console", "/console/jobs", "/console/jobs?status=failed", "/console/jobs/{id}", "/console/queues"]


def test_a_job_is_followed_from_the_overview_to_its_end_without_a_reload(page: Page, services: Services) -> None:
    page.goto("/console")
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.get_by_role("list", name="Needs attention")).to_contain_text("No worker runs")
    job = services.post("sleep", {"seconds": 4})
    expect(page.locator(".count.is-queued .value")).to_have_text("1")
    page.get_by_role("link", name="queued 1").click()
    page.get_by_role("link", name=f"Job {job}").click()
    expect(page.locator(".why")).to_contain_text("no worker serves the queue")
    page.evaluate("window.same = 1")
    services.start_worker()
    expect(page.locator(".title .pill")).to_have_text("started")
    expect(page.locator("progress")).to_be_visible()
    expect(page.locator(".title .pill")).to_have_text("finished")
    expect(page.locator(".steps")).to_contain_text("Attempt 1 finished")
    assert page.evaluate("window.same") == 1


def test_what_one_has_folded_stays_so_when_the_page_changes(page: Page, services: Services, tmp_path: Path) -> None:
    job = services.post("fail", {"ledger": f"{tmp_path}/ledger", "permanent": True})
    page.goto(f"/console/jobs/{job}")
    tree = page.locator("#s-payload details").first
    tree.locator("summary").first.click()
    services.start_worker()
    expect(page.locator(".title .pill")).to_have_text("failed")
    expect(page.locator(".error")).to_contain_text("PermanentError: no use")
    expect(page.locator(".error pre").first).to_contain_text("jobs/fail.py")
    assert tree.get_attribute("open") is None
    page.get_by_text("The whole traceback").click()
    expect(page.locator(".error pre").nth(1)).to_contain_text("Traceback (most recent call last)")


@pytest.mark.parametrize("state", ["queued", "failed", "finished"])
def test_a_script_in_a_job_s_texts_does_not_run(page: Page, redis: Redis, state: str) -> None:
    stored = Stored(redis)
    job = getattr(stored, state)(SCRIPT, description=SCRIPT)
    page.goto(f"/console/jobs/{job.id}")
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.locator("h1")).to_have_text(SCRIPT)
    redis.hset(job.key, "errand_progress", f'{{"done": 1, "total": 2, "message": "{SCRIPT}"}}')
    redis.hset(job.key, "errand_tags", f'["{SCRIPT}"]')
    expect(page.locator("#s-head .tag")).to_have_text(SCRIPT)
    page.goto(f"/console/jobs?status={state}")
    expect(page.locator("#s-list")).to_contain_text(SCRIPT)
    assert page.evaluate("window.pwned") is None


def test_the_slash_leads_to_the_search_and_an_id_to_its_job(page: Page, services: Services) -> None:
    job = services.post("echo", {"value": 1})
    page.goto("/console")
    page.keyboard.press("/")
    page.keyboard.insert_text(job)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{services.base_url}/console/jobs/{job}")


def test_the_overview_draws_its_charts(page: Page) -> None:
    for period in ("1 h", "24 h", "72 h"):
        page.goto("/console")
        page.get_by_role("link", name=period, exact=True).click()
        expect(page.locator("#charts canvas")).to_have_count(2)


def test_a_queue_is_paused_and_resumed_by_its_button(page: Page) -> None:
    page.goto("/console/queues")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="log", exact=True))
    row.get_by_role("button", name="Pause log").click()
    expect(row).to_contain_text("drained")
    row.get_by_role("button", name="Resume log").click()
    expect(row).to_contain_text("active")


def test_times_are_in_the_viewer_s_zone_and_utc_without_scripts(browser: Browser, services: Services) -> None:
    services.start_api()
    job = services.post("echo", {"value": 1}, "?run_at=2027-01-01T12:00:00Z")
    for scripts, shown in ((True, "17:45:00"), (False, "2027-01-01 12:00:00 UTC")):
        context = browser.new_context(
            base_url=services.base_url, timezone_id="Asia/Kathmandu", locale="en-GB", java_script_enabled=scripts
        )
        page = context.new_page()
        page.goto(f"/console/jobs/{job}")
        expect(page.locator(".step.is-scheduled")).to_contain_text(shown)
        context.close()


@pytest.fixture
def guarded(browser: Browser, queue_settings: QueueSettings) -> Iterator[Page]:
    """A tab over an application with a password."""
    app = create_app(ApiSettings(ERRAND_LOCAL=True, DASHBOARD_PASSWORD=PASSWORD), queue_settings, TYPES)
    with serve(app, "h11") as (host, port), open_tab(browser, f"http://{host}:{port}") as page:
        yield page


def test_one_signs_in_looks_and_signs_out(guarded: Page) -> None:
    guarded.goto("/console/jobs?status=failed")
    guarded.get_by_label("Password").fill(PASSWORD)
    guarded.get_by_role("button", name="Sign in").click()
    expect(guarded.locator("#connection")).to_have_text("Live")
    expect(guarded.get_by_role("link", name="Without status failed")).to_be_visible()
    guarded.get_by_role("button", name="Sign out").click()
    expect(guarded.get_by_label("Password")).to_be_visible()


def test_who_has_signed_in_comes_by_a_link_on_another_site_as_well(guarded: Page) -> None:
    guarded.goto("/console")
    guarded.get_by_label("Password").fill(PASSWORD)
    guarded.get_by_role("button", name="Sign in").click()
    expect(guarded.locator("#connection")).to_have_text("Live")
    address = guarded.url + "/jobs?status=failed"
    guarded.goto(guarded.url.replace("127.0.0.1", "localhost"))
    guarded.evaluate("address => { location = address }", address)
    expect(guarded.get_by_role("link", name="Without status failed")).to_be_visible()


def test_a_page_says_that_redis_is_away_and_goes_on_when_it_is_back(
    browser: Browser, own_valkey: EmbeddedValkey
) -> None:
    app = create_app(ApiSettings(ERRAND_LOCAL=True), QueueSettings(REDIS_URL=own_valkey.url), TYPES)
    with serve(app, "h11") as (host, port):
        page = browser.new_page(base_url=f"http://{host}:{port}")
        page.goto("/console")
        expect(page.locator("#connection")).to_have_text("Live")
        own_valkey.stop()
        expect(page.locator("#connection")).to_have_text("Redis is away")
        expect(page.locator("#banner")).to_contain_text("can’t be reached")
        other = browser.new_page(base_url=f"http://{host}:{port}")
        other.goto("/console/jobs")
        own_valkey.start()
        expect(page.locator("#connection")).to_have_text("Live")
        expect(page.locator("#banner")).to_be_hidden()
        expect(other.locator("#connection")).to_have_text("Live")
        page.close()
        other.close()


def test_pages_fit_their_window(page: Page, redis: Redis) -> None:
    job = Stored(redis).failed("x" * 300)
    for width in (360, 1600):
        page.set_viewport_size({"width": width, "height": 800})
        for path in PAGES:
            page.goto(path.format(id=job.id))
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
