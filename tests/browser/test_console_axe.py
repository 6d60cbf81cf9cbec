"""Whether everybody can use the console's pages, as far as axe-core sees that: each page that there is."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from tests.browser.conftest import open_tab
from tests.support.api_server import serve
from tests.support.connectors import create_app
from tests.support.console_pages import list_pages
from tests.support.job_types import TYPES
from tests.support.services import Services

pytestmark = pytest.mark.browser

MAIL = b"""From: Errand <errand@example.com>
To: ada@example.com
Subject: Hello
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=cut

--cut
Content-Type: text/plain

Good day
--cut
Content-Type: text/html

<p>Good day</p>
--cut--
"""
AXE = gzip.decompress((Path(__file__).parent / "vendor/axe.min.js.gz").read_bytes()).decode()
SEVERE = ("serious", "critical")


def find_faults(page: Page, **options: Any) -> list[str]:
    """Return what axe finds severe on a page: the rule, and the first place. The page's own policy stays in force."""
    page.evaluate(AXE)
    given = {"resultTypes": ["violations"], "preload": False, "iframes": False, **options}
    found = page.evaluate("options => axe.run(options)", given)["violations"]
    return [f"{fault['id']}: {fault['nodes'][0]['html'][:200]}" for fault in found if fault["impact"] in SEVERE]


def find_faults_in_both_schemes(page: Page) -> dict[str, list[str]]:
    """Return what is severe on a page, and in its colours in the dark."""
    page.emulate_media(color_scheme="light", reduced_motion="reduce")  # no colour is half on its way to another
    light = find_faults(page)
    page.emulate_media(color_scheme="dark")
    dark = find_faults(page, runOnly=["color-contrast", "link-in-text-block"])
    return {scheme: faults for scheme, faults in (("light", light), ("dark", dark)) if faults}


@pytest.fixture
def found(services: Services, tmp_path: Path) -> dict[str, list[str]]:
    """What is there to look at: jobs in all states by a real worker, a batch, a schedule, a paused queue."""
    mails, name = tmp_path / "mails", "1790000000000000000"
    mails.mkdir()
    (mails / f"{name}.eml").write_bytes(MAIL)
    ledger = {"ledger": f"{tmp_path}/ledger"}
    services.start_api(ERRAND_MAIL_FOLDER=f"{mails}")
    services.start_worker(WORKER_THREADS="4")
    finished = services.post(
        "echo", {"value": {"list": [1, None, "two", {}], "text": "a word " * 20}}, "?tag=blue&tag=eu"
    )
    failed = services.post("fail", {**ledger, "permanent": True})
    talks = services.post("talk", {"name": "Ada"})
    batch = services.call("POST", "/v1/batches/echo", {"items": [{"value": n} for n in range(3)]}).body["id"]
    schedule = {"type": "echo", "payload": {"value": 1}, "every_seconds": 3600}
    assert services.call("PUT", "/v1/schedules/hourly", schedule).status == 201
    assert services.call("POST", "/v1/schedules/hourly/run").status == 202
    for id in (finished, failed, talks):
        services.wait_for(id)
    runs = services.post("sleep", {"seconds": 25})
    waits = services.post("echo", {"value": 1}, f"?after={runs}")
    services.wait_for(runs, "started")
    services.call("POST", "/v1/queues/email/pause")
    return {
        "/jobs/{id}": [finished, failed, talks, runs, waits],
        "/jobs/{id}/edit": [failed],
        "/batches/{id}": [batch],
        "/schedules/{name}": ["hourly"],
        "/mail/{name}": [name],
        "/new/{type}": ["echo", "email"],
    }


@pytest.fixture
def page(browser: Browser, services: Services, found: dict[str, list[str]]) -> Iterator[Page]:
    """A tab over the API; a page that complains on its console, of its content policy too, fails the test."""
    with open_tab(browser, services.base_url) as page:
        yield page


def test_axe_finds_nothing_severe_on_any_page_with_work(page: Page, found: dict[str, list[str]]) -> None:
    faults = {}
    for path in [*list_pages(found), "/console/jobs?tag=blue&since=1h", "/console/queues?done=queue-paused"]:
        page.goto(path)
        expect(page.locator("#connection")).to_have_text("Live")
        faults[path] = find_faults_in_both_schemes(page)
    assert {path: one for path, one in faults.items() if one} == {}


@pytest.fixture
def guarded(browser: Browser, queue_settings: QueueSettings) -> Iterator[Page]:
    """A small tab over an application with a password, without any work."""
    app = create_app(ApiSettings(ERRAND_LOCAL=True, DASHBOARD_PASSWORD="secret"), queue_settings, TYPES)
    with serve(app, "h11") as (host, port):
        context = browser.new_context(base_url=f"http://{host}:{port}", viewport={"width": 360, "height": 760})
        yield context.new_page()
        context.close()


def test_axe_finds_nothing_severe_on_the_login_on_empty_pages_and_on_those_of_errors(guarded: Page) -> None:
    faults = {}
    guarded.goto("/console/login")
    for password in ("wrong", "secret"):
        faults[f"login, {password} next"] = find_faults_in_both_schemes(guarded)
        guarded.get_by_label("Password").fill(password)
        guarded.get_by_role("button", name="Sign in").click()
        expect(guarded.get_by_role("alert" if password == "wrong" else "main").first).to_be_visible()
    for path in [*list_pages(), "/console/jobs?status=failed&type=log&batch=x", "/console/nothing"]:
        guarded.goto(path)
        faults[path] = find_faults_in_both_schemes(guarded)
    assert {path: one for path, one in faults.items() if one} == {}
