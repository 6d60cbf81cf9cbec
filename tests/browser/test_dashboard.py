"""The dashboard in a real browser, over a real API and a real worker."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from redis import Redis

from tests.api.stored import Stored
from tests.support.services import Services

pytestmark = pytest.mark.browser

SCRIPT = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"


@pytest.fixture
def stored(redis: Redis) -> Stored:
    return Stored(redis)


def open_list(page: Page, registry: str, queue: str = "default") -> None:
    page.goto(f"/dashboard/0/view/jobs/{queue}/{registry}/8/asc/1")


def confirm(page: Page, action: str) -> None:
    expect(page.locator("#confirmation-modal-action")).to_have_text(action)
    page.locator("#confirmation-modal-yes").click()


def test_the_queues_page_counts_the_jobs(page: Page, stored: Stored) -> None:
    for registry in ("queued", "queued", "failed", "finished", "canceled"):
        stored.put_in(registry)
    page.goto("/dashboard")
    row = page.locator("tr[data-role=queue]").filter(has_text="default")
    expect(row.locator("td")).to_have_text(["default", "2", "0", "0", "0", "1", "1", "1"])


def test_a_damaged_registry_is_a_word_in_the_table(page: Page, stored: Stored, redis: Redis) -> None:
    stored.queued()
    redis.set("rq:failed:default", "x")
    page.goto("/dashboard/")
    row = page.locator("tr[data-role=queue]").filter(has_text="default")
    expect(row.locator("td")).to_have_text(["default", "1", "0", "0", "0", "0", "damaged", "0"])
    row.get_by_role("link", name="damaged").click()
    expect(page.locator("#jobs tbody")).to_contain_text("This list is damaged: WRONGTYPE")


def test_a_job_shows_payload_progress_attempts_and_error(page: Page, services: Services, tmp_path: Path) -> None:
    services.start_worker()
    job = services.post("fail", {"ledger": f"{tmp_path}/<img src=x onerror='window.pwned=1'>", "permanent": True})
    services.wait_for(job, "failed")
    page.goto("/dashboard/")
    page.get_by_role("link", name="Jobs", exact=True).click()  # nothing is queued: it opens on what has failed
    expect(page.locator(".description")).to_contain_text(f'fail {{"ledger":"{tmp_path}/<img src=x')
    page.get_by_role("link", name=job).click()
    expect(page.locator(".description-scroll")).to_contain_text('"permanent":true')
    expect(page.locator("#job-data")).to_contain_text('"attempts": 1, "error": "')
    assert page.evaluate("window.pwned") is None


def test_a_link_leads_from_a_count_to_the_jobs_and_on_to_one(page: Page, stored: Stored) -> None:
    job = stored.failed(description="email")
    page.goto("/dashboard/")
    page.locator("td.failed a").first.click()
    page.get_by_role("link", name=job.id).click()
    expect(page.locator("#job-data")).to_contain_text("ValueError: invalid literal for int()")


def test_the_pages_of_a_long_list_are_turned(page: Page, stored: Stored) -> None:
    ids = [stored.queued().id for _ in range(20)]
    open_list(page, "queued")
    page.get_by_role("link", name="2", exact=True).click()
    expect(page.locator(".job_id")).to_have_text(ids[8:16])
    page.locator("#select-sort-order").select_option("dsc")
    expect(page.locator(".job_id")).to_have_text(ids[:11:-1])


def test_the_workers_page_shows_a_running_job(page: Page, services: Services) -> None:
    services.start_worker()
    job = services.post("sleep", {"seconds": 20})
    services.wait_for(job, "started")
    page.goto("/dashboard/0/view/workers")
    expect(page.locator("tr[data-role=worker] a")).to_contain_text("jobs.sleep.run.perform(seconds=20")
    page.locator("tr[data-role=worker] a").click()
    expect(page.locator("#job-data")).to_contain_text("started")


@pytest.mark.parametrize("state", ["queued", "started", "finished", "failed"])
def test_a_script_in_a_job_does_not_run_and_is_shown_as_text(page: Page, stored: Stored, state: str) -> None:
    job = getattr(stored, state)(SCRIPT, description=SCRIPT, meta={"note": SCRIPT})
    page.goto(f"/dashboard/0/view/job/{job.id}")
    expect(page.locator(".description-scroll")).to_have_text(SCRIPT)
    expect(page.locator("#job-data")).to_contain_text(json.dumps({"note": SCRIPT}))
    if state == "finished":
        expect(page.locator("pre").first).to_have_text(json.dumps(SCRIPT))
    if state == "failed":
        expect(page.locator("pre.exc_info")).to_contain_text("<script>window.pwned")
    open_list(page, state)
    expect(page.locator(".description")).to_have_text(SCRIPT)
    page.goto("/dashboard/0/view/workers")
    expect(page.locator("#workers tbody")).to_contain_text(SCRIPT[:8] if state == "started" else "No workers.")
    assert page.evaluate("window.pwned") is None


def test_a_script_in_the_name_of_a_queue_does_not_run(page: Page, stored: Stored, redis: Redis) -> None:
    name = "';window.pwned=1;'\"<b>"
    job = Stored(redis, name).queued()
    page.goto("/dashboard/0/view/queues")
    expect(page.locator("tr[data-role=queue] td").first).to_have_text(name)
    page.locator("tr[data-role=queue] a").first.click()
    expect(page.locator(".job_id")).to_have_text(job.id)
    assert page.evaluate("window.pwned") is None


def test_a_queue_field_that_is_left_empty_gets_its_name_back(page: Page) -> None:
    open_list(page, "queued", "it's")
    field = page.locator("#select-queue")
    field.click()
    expect(field).to_have_value("")
    page.mouse.move(5, 800)
    expect(field).to_have_value("it's")


def test_the_page_of_a_job_follows_its_progress_by_itself(page: Page, services: Services) -> None:
    job = services.post("echo", {"value": "done and dusted"})
    page.goto(f"/dashboard/0/view/job/{job}")
    expect(page.locator("#job-data")).to_contain_text("queued")
    services.start_worker()
    expect(page.locator("#job-data")).to_contain_text("done and dusted", timeout=15_000)


def test_autorefresh_can_be_switched_off(page: Page, stored: Stored) -> None:
    open_list(page, "queued")
    expect(page.locator("#jobs tbody")).to_contain_text("No jobs.")
    page.locator("label[for=autorefresh-switch]").click()
    assert page.evaluate("AUTOREFRESH_FLAG") == 0


def test_the_requeue_button_of_a_job_runs_it_again(page: Page, services: Services, tmp_path: Path) -> None:
    services.start_worker()
    job = services.post("fail", {"ledger": f"{tmp_path}/ledger", "permanent": True})
    services.wait_for(job, "failed")
    page.goto(f"/dashboard/0/view/job/{job}")
    with page.expect_response(lambda answer: answer.url.endswith("/requeue")) as answer:
        page.get_by_role("button", name="Requeue").click()
    assert answer.value.status == 200
    assert services.wait_for(job, "failed")["attempts"] == 2


def test_requeue_all_asks_and_requeues(page: Page, stored: Stored) -> None:
    failed = {stored.failed().id for _ in range(3)}
    open_list(page, "failed")
    page.get_by_role("link", name="Requeue All").click()
    confirm(page, "requeue all")
    expect(page.locator("#jobs tbody")).to_contain_text("No jobs.")
    assert set(stored.queue.job_ids) == failed


def test_the_requeue_button_in_a_list_requeues_its_job(page: Page, stored: Stored) -> None:
    job = stored.failed()
    open_list(page, "failed")
    page.get_by_role("link", name="Requeue", exact=True).click()
    expect(page.locator("#jobs tbody")).to_contain_text("No jobs.")
    assert stored.queue.job_ids == [job.id]


def test_the_delete_button_asks_and_deletes(page: Page, stored: Stored, redis: Redis) -> None:
    job = stored.queued()
    page.goto(f"/dashboard/0/view/job/{job.id}")
    page.get_by_role("button", name="Delete").click()
    confirm(page, "delete job")
    page.wait_for_url("**/view/queues")
    assert not redis.exists(job.key)


def test_no_in_the_question_changes_nothing(page: Page, stored: Stored, redis: Redis) -> None:
    job = stored.queued()
    open_list(page, "queued")
    page.get_by_role("link", name="Delete").click()
    for _ in range(5):
        page.locator("#confirmation-modal-no").click()
        with suppress(AssertionError):  # Bootstrap does not hear it while the question still fades in
            expect(page.locator("#confirmation-modal")).to_be_hidden(timeout=2000)
            break
    expect(page.locator("#confirmation-modal")).to_be_hidden()
    assert redis.exists(job.key)


@pytest.mark.parametrize("registry", ["queued", "finished"])
def test_empty_asks_and_empties(page: Page, stored: Stored, redis: Redis, registry: str) -> None:
    jobs = [stored.put_in(registry) for _ in range(3)]
    open_list(page, registry)
    page.get_by_role("link", name="Empty queue").click()
    confirm(page, "empty")
    expect(page.locator("#jobs tbody")).to_contain_text("No jobs.")
    assert not redis.exists(*(job.key for job in jobs))


def test_compact_asks_and_takes_out_dead_ids(page: Page, stored: Stored, redis: Redis) -> None:
    dead, live = stored.queued(), stored.queued()
    redis.delete(dead.key)
    open_list(page, "queued")
    page.get_by_role("link", name="Compact").click()
    with page.expect_response(lambda answer: answer.url.endswith("/compact")):
        confirm(page, "compact")
    assert stored.queue.job_ids == [live.id]
