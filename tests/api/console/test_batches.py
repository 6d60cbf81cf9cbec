"""Batches on the console: the list, one batch, and requeueing its failed jobs."""

import html
import re
from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient

from errand.redis import keys
from tests.api.console.conftest import OURS, READ, sign_in
from tests.api.console.test_pages import SCRIPT, read
from tests.api.test_dead_letters import fail
from tests.support.job_types import TYPES


def post(client: TestClient, count: int = 1, type: str = "log", query: str = "") -> tuple[str, list[str]]:
    answer = client.post(f"/v1/batches/{type}{query}", json={"items": [TYPES[type].example] * count})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"], [job["id"] for job in answer.json()["jobs"]]


def end(redis: Redis, ids: list[str], status: str = "finished") -> None:
    for id in ids:
        redis.hset(keys.JOB + id, "status", status)


def find_row(page: str, id: str) -> str:
    row = page.partition(f'<tr id="batch-{id}">')[2].partition("</tr>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row)).strip()


def test_batches_are_listed_newest_first_with_how_far_they_are(client: TestClient, redis: Redis) -> None:
    old, ids = post(client, 4)
    new, _ = post(client, 2, "tally", "?delay_seconds=60")
    end(redis, ids[:1])
    end(redis, ids[1:2], "failed")
    page = read(client, "/console/batches")
    assert re.findall(r'id="batch-([^"]+)"', page)[-2:] == [new, old]
    assert find_row(page, old).startswith(f"running log {old[:8]} 50 % 4 1 1 2 ")
    assert find_row(page, new).startswith(f"scheduled tally {new[:8]} 0 % 2 0 0 2 ")
    assert 'aria-label="50 % ended: 1 finished, 1 failed, 2 remaining"' in page
    assert new not in read(client, "/console/batches?type=log")


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        (["finished", "finished"], "finished"),
        (["finished", "failed"], "failed"),
        (["finished", "stopped"], "failed"),
        (["finished", "canceled"], "canceled"),
        (["finished", "queued"], "running"),
        (["started", "queued"], "running"),
        (["queued", "queued"], "queued"),
        (["queued", "scheduled"], "waiting"),
    ],
)
def test_a_word_says_how_a_batch_stands(client: TestClient, redis: Redis, statuses: list[str], state: str) -> None:
    id, ids = post(client, 2)
    for job, status in zip(ids, statuses, strict=True):
        end(redis, [job], status)
    assert find_row(read(client, "/console/batches"), id).startswith(state)


def test_one_goes_from_page_to_page(client: TestClient) -> None:
    ids = {post(client)[0] for _ in range(30)}
    first = read(client, "/console/batches")
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older
    second = read(client, older[1].replace("&amp;", "&"))
    seen = [set(re.findall(r'<tr id="batch-([^"]+)"', page)) for page in (first, second)]
    assert (len(seen[0]), seen[0] | seen[1], seen[0] & seen[1]) == (25, ids, set())
    assert "it is no cursor of this list" in read(client, "/console/batches?cursor=x", 422)


def test_a_batch_shows_its_counts_as_links_and_its_jobs(client: TestClient, redis: Redis) -> None:
    id, ids = post(client, 4)
    end(redis, ids[:2])
    page = read(client, f"/console/batches/{id}")
    assert f'href="/console/jobs?batch={id}&amp;status=finished"><span class="label">finished</span>' in page
    assert "<dd>2 of 4</dd>" in page
    assert re.findall(r'<tr id="job-([^"]+)"', page) == ids
    end(redis, ids[2:3], "started")
    assert re.findall(r'<tr id="job-([^"]+)"', read(client, f"/console/batches/{id}")) == ids[2:3]


def test_a_batch_groups_what_failed_of_it_and_of_no_other(client: TestClient, redis: Redis) -> None:
    id, ids = post(client, 3)
    for job in [*ids[:2], *post(client)[1]]:
        fail(redis, job, error=("ValueError", SCRIPT), errand_frame="jobs/log.py:3 in run")
    page = read(client, f"/console/batches/{id}")
    assert "<strong>2</strong>" in page
    assert "jobs/log.py:3 in run" in page
    assert SCRIPT not in page


def test_a_batch_leads_to_what_it_waits_for(client: TestClient) -> None:
    first, (job,) = post(client)
    id, _ = post(client, 2, query=f"?after={first}&after={job}")
    page = read(client, f"/console/batches/{id}")
    assert f'href="/console/batches/{first}"' in page
    assert f'href="/console/jobs/{job}"' in page


def test_a_batch_outlives_its_jobs(client: TestClient, redis: Redis) -> None:
    id, ids = post(client, 2)
    redis.hset(keys.BATCH + id, ids[0], "finished")
    redis.delete(*(keys.JOB + job for job in ids))
    page = read(client, f"/console/batches/{id}")
    assert page.count('<span class="muted">gone</span>') == 2
    assert "100 %" in page


@pytest.mark.parametrize("id", ["5f0c7d1e-0000-4000-8000-000000000000", "x"])
def test_a_batch_that_is_not_there_is_a_404(client: TestClient, id: str) -> None:
    read(client, f"/console/batches/{id}", 404)


def test_the_search_and_a_job_lead_to_the_batch(client: TestClient) -> None:
    id, (job,) = post(client)
    assert client.get(f"/console/search?q={id}").url.path == f"/console/batches/{id}"
    assert f'href="/console/batches/{id}"' in read(client, f"/console/jobs/{job}")


def test_what_failed_is_queued_again_and_the_page_says_how_many(
    client: TestClient, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "errand.api")
    id, ids = post(client, 3)
    other = post(client)[1]
    for job in [*ids[:2], *other]:
        fail(redis, job)
    assert "Requeue 2 failed" in read(client, f"/console/batches/{id}")
    page: Any = client.post(f"/console/batches/{id}/requeue", headers=OURS)
    assert (page.url.path, "Failed jobs requeued: 2." in page.text) == (f"/console/batches/{id}", True)
    statuses = [redis.hget(keys.JOB + job, "status") for job in [*ids, *other]]
    assert statuses == [b"queued", b"queued", b"queued", b"failed"]
    assert f"Console: 2 failed jobs of batch {id} requeued, asked for from testclient" in caplog.messages
    assert "Requeue" not in page.text


def test_a_batch_that_is_not_there_can_t_be_requeued(client: TestClient) -> None:
    id = "5f0c7d1e-0000-4000-8000-000000000000"
    assert client.post(f"/console/batches/{id}/requeue", headers=OURS).status_code == 404


def test_who_may_only_look_sees_a_batch_without_a_button(guarded: TestClient, redis: Redis, client: TestClient) -> None:
    id, ids = post(client, 2)
    fail(redis, ids[0])
    sign_in(guarded, READ)
    page = guarded.get(f"/console/batches/{id}").text
    assert "1 of 2" in page
    assert 'method="post"' not in page.partition("<main")[2]


def test_what_is_left_of_a_batch_is_canceled_by_the_page_that_asks_for_many_jobs(
    client: TestClient, redis: Redis
) -> None:
    id, ids = post(client, 3)
    other = post(client)[1]
    end(redis, ids[:1])
    page = read(client, f"/console/batches/{id}")
    assert "Cancel 2…" in page
    ask = page.partition('action="/console/jobs/ask"')[2].partition("</form>")[0]
    asked = client.post("/console/jobs/ask", headers=OURS, data=read_fields(ask))
    assert asked.status_code == 200, asked.text
    apply = asked.text.partition('action="/console/jobs/change"')[2].partition("</form>")[0]
    client.post("/console/jobs/change", headers=OURS, data=read_fields(apply))
    statuses = [redis.hget(keys.JOB + job, "status") for job in [*ids, *other]]
    assert statuses == [b"finished", b"canceled", b"canceled", b"queued"]


def read_fields(form: str) -> dict[str, str]:
    return {name: html.unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form)}
