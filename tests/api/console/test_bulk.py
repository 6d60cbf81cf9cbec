"""Requeueing, canceling and deleting many jobs from their list."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient

from errand.api.console.changes import jobs as changes
from errand.store.bulk import bulk
from tests.api.console.conftest import OURS, READ, sign_in
from tests.api.stored import Stored

Post = Callable[..., str]


def ask(client: TestClient, verb: str, scope: str = "chosen", **fields: Any) -> str:
    answer = client.post("/console/jobs/ask", data={"verb": verb, "scope": scope, **fields}, headers=OURS)
    assert answer.status_code == 200, answer.text
    return answer.text.partition("<main")[2]


def read_form(html: str) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)">', html):
        fields.setdefault(name, []).append(value.replace("&amp;", "&"))
    return fields


def confirm(client: TestClient, html: str) -> str:
    answer = client.post("/console/jobs/change", data=read_form(html), headers=OURS)
    assert answer.status_code == 200, answer.text
    return answer.text.partition("<main")[2]


def read_statuses(client: TestClient, ids: list[str]) -> list[Any]:
    return [client.get(f"/v1/jobs/{id}").json()["status"] for id in ids]


def test_ticked_jobs_are_canceled_once_one_has_seen_how_many(client: TestClient, post: Post) -> None:
    ids = [post() for _ in range(3)]
    page = ask(client, "cancel", id=ids[:2])
    assert "Cancel 2 jobs?" in page
    assert read_statuses(client, ids) == ["queued"] * 3
    page = confirm(client, page)
    assert "Jobs canceled: 2." in page
    assert read_statuses(client, ids) == ["canceled", "canceled", "queued"]


def test_what_failed_was_stopped_or_canceled_is_requeued_and_the_rest_is_counted(
    client: TestClient, redis: Redis
) -> None:
    stored = Stored(redis)
    ids = [stored.failed().id, stored.canceled().id, stored.finished().id, stored.queued().id]
    page = ask(client, "requeue", id=ids)
    assert "Requeue 2 jobs?" in page
    assert "2 jobs are passed over: only failed, stopped and canceled jobs can be requeued" in page
    assert "Jobs requeued: 2." in confirm(client, page)
    assert read_statuses(client, ids) == ["queued", "queued", "finished", "queued"]


def test_a_job_that_changed_after_one_was_asked_is_passed_over(client: TestClient, post: Post) -> None:
    ids = [post(), post()]
    page = ask(client, "cancel", id=ids)
    client.post(f"/v1/jobs/{ids[0]}/cancel")
    client.delete(f"/v1/jobs/{ids[0]}")
    assert "Jobs canceled: 1. Passed over: 1" in confirm(client, page)


def test_a_running_job_is_not_deleted(client: TestClient, redis: Redis) -> None:
    stored = Stored(redis)
    ids = [stored.started().id, stored.finished().id]
    page = ask(client, "delete", id=ids)
    assert "Delete 1 job?" in page
    confirm(client, page)
    assert read_statuses(client, ids) == ["started", 404]


def test_without_a_tick_nothing_is_asked(client: TestClient, post: Post) -> None:
    post()
    page = ask(client, "delete")
    assert "No job is ticked" in page
    assert "change" not in page.partition("<form")[2]


def test_all_that_match_are_deleted_with_their_filter_in_words(client: TestClient, post: Post) -> None:
    ids = [post(), post("tally", number=1), post(query="tag=x")]
    page = ask(client, "delete", "all", type="log")
    assert "Delete 2 jobs?" in page
    assert "type <strong>log</strong>" in page
    page = confirm(client, page)
    assert "Jobs deleted: 2." in page
    assert 'aria-label="Without type log"' in page
    assert read_statuses(client, ids) == [404, "queued", 404]


def test_a_filter_in_words_and_a_job_s_type_are_text(client: TestClient, redis: Redis) -> None:
    markup = "<img src=x>"
    id = Stored(redis).queued(description=markup).id
    for page in (ask(client, "cancel", "all", type=markup), ask(client, "cancel", id=id)):
        assert markup not in page
        assert "&lt;img src=x&gt;" in page


def test_what_comes_in_after_one_was_asked_is_left_alone(client: TestClient, post: Post) -> None:
    before = post()
    page = ask(client, "cancel", "all")
    after = post()
    confirm(client, page)
    assert read_statuses(client, [before, after]) == ["canceled", "queued"]


def test_all_that_match_says_how_many_it_passes_over(client: TestClient, redis: Redis, post: Post) -> None:
    client.post(f"/v1/jobs/{post()}/cancel")
    post(), post()
    page = ask(client, "requeue", "all")
    assert "Requeue 1 job?" in page
    assert "2 jobs are passed over" in page


def test_nothing_to_do_has_no_button(client: TestClient, post: Post) -> None:
    post()
    page = ask(client, "requeue", "all", status="queued")
    assert "No job to requeue" in page
    assert "<button" not in page


@pytest.mark.parametrize("verb", ["requeue", "cancel", "delete"])
def test_what_a_request_does_not_get_done_is_gone_on_with(
    client: TestClient, post: Post, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(changes, "WORK_SECONDS", 0)
    monkeypatch.setattr(bulk, "SLICE", 2)
    ids = [post() for _ in range(5)]
    if verb == "requeue":
        for id in ids:
            client.post(f"/v1/jobs/{id}/cancel")
    page = ask(client, verb, "all", type="log")
    assert f"{verb.capitalize()} 5 jobs?" in page
    page = confirm(client, page)
    assert "more to do" in page
    assert "<strong>3</strong> are left" in page
    page = confirm(client, page)
    assert "<strong>1</strong> is left" in page
    assert ": 5." in confirm(client, page)
    ended = {"requeue": "queued", "cancel": "canceled", "delete": 404}[verb]
    assert read_statuses(client, ids) == [ended] * 5


def test_a_chain_is_requeued_parents_first(client: TestClient, post: Post) -> None:
    first = post()
    second = post(query=f"after={first}")
    client.post(f"/v1/jobs/{first}/cancel")
    page = ask(client, "requeue", "all", status="canceled")
    assert "Jobs requeued: 2." in confirm(client, page)
    assert read_statuses(client, [first, second]) == ["queued", "deferred"]


@pytest.mark.parametrize(
    "fields",
    [
        {"verb": "explode", "scope": "chosen"},
        {"verb": "cancel", "scope": "chosen", "id": "x"},
        {"verb": "cancel", "scope": "all", "after": "yesterday"},
        {"verb": "cancel", "scope": "all", "status": "great"},
        {"verb": "cancel", "scope": "all"},
        {"verb": "cancel", "scope": "all", "before": "2099-01-01T00:00:00Z", "cursor": "x"},
    ],
)
def test_a_form_that_is_not_ours_changes_nothing(client: TestClient, post: Post, fields: dict[str, str]) -> None:
    id = post()
    assert client.post("/console/jobs/change", data=fields, headers=OURS).status_code == 422
    assert read_statuses(client, [id]) == ["queued"]


def test_the_log_says_what_was_done_to_which(client: TestClient, post: Post, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "errand.api")
    id = post()
    confirm(client, ask(client, "cancel", id=id))
    confirm(client, ask(client, "delete", "all", status="canceled"))
    lines = [line for line in caplog.messages if line.startswith("Console:")]
    assert lines[0] == f"Console: 1 of 1 jobs canceled: {id}, asked for from testclient"
    assert lines[1].startswith("Console: 1 jobs deleted and 0 passed over of those with status 'canceled', created")


def test_who_may_only_look_gets_no_boxes(guarded: TestClient, redis: Redis) -> None:
    Stored(redis).queued()
    sign_in(guarded, READ)
    page = guarded.get("/console/jobs?status=queued").text
    assert 'id="job-' in page
    assert "checkbox" not in page.partition("<main")[2]
    page = guarded.get("/console/jobs/many?verb=delete&before=2099-01-01T00:00:00Z").text
    assert "All jobs" in page
    assert "<button" not in page.partition("<main")[2]


@pytest.mark.parametrize(
    ("query", "heading", "chip"),
    [
        ("", "3 jobs", "queued <span"),
        ("?status=failed", "0 jobs", "queued <span"),
        ("?type=log", "2 jobs", "queued <span"),
        ("?tag=x", "1 job", "canceled <span"),
        ("?type=log&status=queued", "1 job", "canceled <span"),
    ],
)
def test_counts_follow_the_filter(client: TestClient, post: Post, query: str, heading: str, chip: str) -> None:
    post(), post("tally", number=1)
    client.post(f"/v1/jobs/{post(query='tag=x')}/cancel")
    page = client.get(f"/console/jobs{query}").text
    assert heading in page.partition('id="s-count">')[2].partition("</span>")[0]
    assert chip in page


def test_a_count_ends_with_a_plus_where_not_all_were_looked_at(
    client: TestClient, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("errand.store.index.BUDGET", 2)
    for _ in range(3):
        post()
    page = client.get("/console/jobs?type=log").text
    assert "2+ jobs" in page.partition('id="s-count">')[2].partition("</span>")[0]
    assert "2+</span>" in page.partition('id="s-statuses">')[2]
    assert "Delete 3 jobs?" in ask(client, "delete", "all", type="log")


@pytest.mark.parametrize(
    ("query", "said"),
    [("", "No jobs yet"), ("?status=failed", "No job matches these filters"), ("?batch=x", "batch: give a batch")],
)
def test_an_empty_list_says_what_one_can_do(client: TestClient, query: str, said: str) -> None:
    assert said in client.get(f"/console/jobs{query}").text
