"""What the console's pages show, read without scripts."""

import re
from collections.abc import Callable

import pytest
from redis import Redis
from starlette.testclient import TestClient

from errand.redis import keys
from tests.api.stored import Stored
from tests.store.tallied import find_minute, write_end

PAGES = ["/console", "/console/jobs", "/console/queues", "/console/workers", "/console/help"]
SCRIPT = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"
Post = Callable[..., str]


def read(client: TestClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


@pytest.mark.parametrize("path", PAGES)
def test_a_page_shows_where_one_is_and_holds_no_script_or_style_of_its_own(client: TestClient, path: str) -> None:
    page = read(client, path)
    assert page.count('aria-current="page"') == 1
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", page)


def test_help_is_on_every_page_and_a_page_of_its_own_without_scripts(client: TestClient) -> None:
    for path in ("/console", "/console/help"):
        page = read(client, path)
        assert 'href="/console/help"' in page
        assert page.count("Somebody stopped it while it ran.") == 1


def test_the_overview_counts_jobs_by_status(client: TestClient, stored: Stored) -> None:
    for registry in ("queued", "queued", "failed", "scheduled"):
        stored.put_in(registry)
    counts = dict(re.findall(r'class="label">([a-z ]+)</span><span class="value">([\d,]+)<', read(client, "/console")))
    assert {name: counts[name] for name in ("queued", "failed", "scheduled", "started")} == {
        "queued": "2",
        "failed": "1",
        "scheduled": "1",
        "started": "0",
    }


def test_the_overview_says_first_that_a_queue_is_paused_and_how_many_wait(client: TestClient, post: Post) -> None:
    post()
    client.post("/v1/queues/log/pause")
    page = read(client, "/console")
    alert = page.index("1 job waits: it is paused")
    assert page.index("No worker runs") < alert < page.index('class="counts"')


def test_the_overview_groups_what_failed(client: TestClient, stored: Stored) -> None:
    ids = [stored.failed("no number").id for _ in range(3)]
    page = read(client, "/console")
    assert "<strong>3</strong>" in page
    assert any(f"/console/jobs/{id}" in page for id in ids)


def test_jobs_are_listed_newest_first_with_their_filters(client: TestClient, post: Post) -> None:
    old, new, mail = post(query="tag=a"), post(), post("email", to=["a@example.com"], subject="s", text="t")
    page = read(client, "/console/jobs")
    assert page.index(mail) < page.index(new) < page.index(old)
    assert new not in read(client, "/console/jobs?tag=a")
    assert old not in read(client, "/console/jobs?type=email&status=queued&since=1h")


def test_a_filter_in_use_is_a_chip_that_takes_it_out(client: TestClient) -> None:
    page = read(client, "/console/jobs?status=failed&type=log")
    assert 'href="/console/jobs?status=failed" aria-label="Without type log"' in page


def test_a_filter_that_means_nothing_is_named_on_the_page(client: TestClient) -> None:
    page = read(client, "/console/jobs?batch=x&type=log", 422)
    assert "batch: give a batch&#39;s id" in page
    assert "<option selected>log" in page


def test_one_goes_from_page_to_page_through_all_jobs(client: TestClient, post: Post) -> None:
    ids = {post() for _ in range(60)}
    first = read(client, "/console/jobs?queue=log")
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older
    second = read(client, older[1].replace("&amp;", "&"))
    seen = [set(re.findall(r'id="job-([^"]+)"', page)) for page in (first, second)]
    assert (len(seen[0]), seen[0] | seen[1], seen[0] & seen[1]) == (50, ids, set())


def test_a_job_shows_payload_time_line_and_why_it_waits(client: TestClient, post: Post) -> None:
    page = read(client, f"/console/jobs/{post(query='tag=blue', text='a line')}")
    assert '<span class="key">text</span> <span class="value is-string">a line</span>' in page
    assert "Waits in its queue" in page
    assert "no worker serves the queue log" in page
    assert "/console/jobs?tag=blue" in page


def test_a_failed_job_shows_its_error_and_the_whole_traceback(client: TestClient, stored: Stored) -> None:
    page = read(client, f"/console/jobs/{stored.failed('no number').id}")
    assert "<strong>ValueError</strong>: invalid literal for int()" in page
    assert "Traceback (most recent call last)" in page


def test_jobs_that_wait_for_each_other_are_linked_both_ways(client: TestClient, post: Post) -> None:
    parent = post()
    child = post(query=f"after={parent}")
    assert f'href="/console/jobs/{child}"' in read(client, f"/console/jobs/{parent}")
    assert f'href="/console/jobs/{parent}"' in read(client, f"/console/jobs/{child}")


def test_a_result_is_shown_as_a_tree_with_an_end(client: TestClient, stored: Stored) -> None:
    job = stored.finished({"deep": {"list": [1, None, "two"]}, "wide": list(range(5000)), "long": "x" * 5000})
    page = read(client, f"/console/jobs/{job.id}")
    assert '<span class="value is-word">null</span>' in page
    assert "more characters" in page
    assert "… 4,900 more" in page
    assert len(page) < 200_000


def test_payload_and_result_can_be_taken_whole_as_json(client: TestClient, post: Post) -> None:
    id = post(text="a line")
    answer = client.get(f"/console/jobs/{id}/raw/payload")
    assert (answer.json(), answer.headers["content-security-policy"]) == (
        {"text": "a line"},
        "sandbox; default-src 'none'",
    )


@pytest.mark.parametrize("registry", ["queued", "failed", "finished"])
def test_text_of_a_job_is_text_wherever_it_stands(client: TestClient, stored: Stored, registry: str) -> None:
    job = getattr(stored, registry)(SCRIPT, description=SCRIPT, meta={"note": SCRIPT})
    stored.redis.hset(job.key, mapping={"errand_tags": f'["{SCRIPT[:40]}"]', "origin": SCRIPT})
    progress = f'{{"done": 1, "total": 2, "message": "{SCRIPT}", "updated_at": "{SCRIPT}"}}'
    stored.redis.hset(job.key, "errand_progress", progress)
    for path in (f"/console/jobs/{job.id}", f"/console/jobs?status={registry}", "/console"):
        page = read(client, path)
        assert "window.pwned" in page or path == "/console"
        assert not re.search(r"<script>|<img src=x", page)


def test_a_script_in_a_filter_or_a_search_is_text(client: TestClient) -> None:
    assert "<script>" not in client.get("/console/jobs", params={"type": SCRIPT, "tag": SCRIPT}).text
    answer = client.get("/console/search", params={"q": SCRIPT})
    assert answer.status_code == 404
    assert "<script>" not in answer.text


def test_an_id_in_the_search_field_leads_to_its_job(client: TestClient, post: Post) -> None:
    id = post()
    for text, goal in ((f" {id.upper()} ", f"/console/jobs/{id}"), ("log", "/console/jobs?type=log")):
        answer = client.get("/console/search", params={"q": text}, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, goal)


def test_a_job_that_is_not_there_is_a_page_that_says_so(client: TestClient) -> None:
    page = read(client, "/console/jobs/5f0c7d1e-0000-4000-8000-000000000000", 404)
    assert "There is no job" in page


def test_a_damaged_record_is_shown_and_hides_no_other(client: TestClient, stored: Stored) -> None:
    damaged, whole = stored.queued(), stored.queued()
    stored.redis.hset(damaged.key, "errand_tags", "[")
    assert whole.id in read(client, "/console/jobs?status=queued")
    assert "DamagedJob" in read(client, f"/console/jobs/{damaged.id}")


def test_times_are_readable_without_scripts_and_exact_for_them(client: TestClient, post: Post, redis: Redis) -> None:
    id = post()
    redis.hset(keys.JOB + id, "created_at", "2026-03-29T01:30:00.250000Z")
    page = read(client, f"/console/jobs/{id}")
    assert '<time datetime="2026-03-29T01:30:00.250Z" data-age>2026-03-29 01:30:00 UTC</time>' in page


def test_the_root_leads_a_browser_to_the_console_and_others_to_the_tutorial(client: TestClient) -> None:
    answer = client.get("/", headers={"Accept": "text/html,*/*;q=0.8"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/console")
    assert client.get("/").json()["Hello"] == "World"


@pytest.mark.parametrize(("period", "step", "steps"), [("1h", 60, 60), ("24h", 300, 288), ("72h", 300, 864)])
def test_the_overview_shows_what_ended_in_a_period_and_has_columns_for_its_charts(
    client: TestClient, redis: Redis, period: str, step: int, steps: int
) -> None:
    minute = find_minute(redis)
    write_end(redis, minute - 20, "log|0|2|finished", 30)
    write_end(redis, minute - 20, "email|0|2|failed", 5)
    page = read(client, f"/console?period={period}")
    assert f'data-from="/console/stats/{period}"' in page
    assert "<dt>Finished</dt><dd>30</dd>" in page
    found = client.get(f"/console/stats/{period}").json()
    assert {len(column) for column in found.values()} == {steps}
    place = next(i for i, at in enumerate(found["at"]) if at <= (minute - 20) * 60 < at + step)
    assert (found["finished"][place], found["failed"][place]) == (1800 / step, 300 / step)
    assert found["run_p95"][place] == pytest.approx(0.0195)
    assert client.get("/console/stats/9h").status_code == 404
