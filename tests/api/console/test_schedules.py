"""Schedules on the console: read, and changed by those who may."""

import html
import json
import re
import time
from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient

from errand.api.console.schedule_text import describe_cron, describe_every
from errand.redis import keys
from errand.store.schedules.schedule import note_run
from tests.api.console.conftest import OURS, READ, sign_in
from tests.api.console.test_pages import SCRIPT, read

DAILY = {"type": "log", "payload": {"text": "Good morning"}, "cron": "0 7 * * MON-FRI", "timezone": "Europe/Paris"}
PAGE = "/console/schedules/morning"


def put(client: TestClient, name: str = "morning", **fields: Any) -> None:
    answer = client.put(f"/v1/schedules/{name}", json={**DAILY, **fields})
    assert answer.status_code in (200, 201), answer.text


def note(redis: Redis, status: str, job: str | None = None, name: str = "morning") -> None:
    redis.lpush(f"{keys.SCHEDULE}{name}{keys.RUNS}", note_run(time.time(), status, 1_800_000_000, job))


def end_run(redis: Redis, job: str, status: str, name: str = "morning") -> None:
    """Let a run's job have ended, and be gone."""
    record = keys.BATCH + redis.hget(keys.SCHEDULE + name, "batch").decode()
    redis.hset(record, job, status)
    note(redis, "", job, name)


def test_schedules_are_listed_with_their_rhythm_in_words_and_what_comes_next(client: TestClient) -> None:
    put(client)
    page = read(client, "/console/schedules")
    assert "at 07:00, Monday to Friday <code>0 7 * * MON-FRI</code>" in page
    assert "Europe/Paris" in page
    assert page.count("data-age") == 1
    assert "none yet" in page


def test_the_last_run_is_there_with_its_outcome_and_its_job(client: TestClient, redis: Redis) -> None:
    put(client)
    note(redis, "skipped")
    end_run(redis, "5f0c7d1e-0000-4000-8000-000000000000", "failed")
    page = read(client, "/console/schedules")
    assert 'aria-label="Last run of morning: failed"' in page
    assert "skipped" not in page
    (item,) = client.get("/v1/schedules").json()["items"]
    assert item["last_run"]["status"] == "failed"
    assert item["last_run"] == client.get("/v1/schedules/morning").json()["runs"][0]


def test_one_that_no_worker_has_looked_at_is_late_and_says_why(client: TestClient, redis: Redis) -> None:
    put(client)
    redis.zadd(keys.SCHEDULES, {"morning": int(time.time()) - 60})
    page = read(client, "/console/schedules")
    assert '<span class="pill is-late">late</span> <span class="muted">no worker of Errand runs' in page


def test_one_whose_type_is_gone_or_that_is_damaged_does_not_take_the_page_away(
    client: TestClient, redis: Redis
) -> None:
    put(client)
    put(client, "other")
    put(client, "third")
    definition = json.loads(redis.hget(f"{keys.SCHEDULE}other", "definition"))
    redis.hset(f"{keys.SCHEDULE}other", "definition", json.dumps({**definition, "type": SCRIPT}))
    redis.set(f"{keys.SCHEDULE}third", "x")
    page = read(client, "/console/schedules")
    assert "there is no job type &lt;script&gt;" in page
    assert re.findall(r'id="schedule-(\w+)"', page) == ["other", "morning"]
    assert SCRIPT not in page + read(client, "/console/schedules/other")


def test_a_schedule_shows_its_next_five_runs_and_its_last_as_a_strip_in_words(client: TestClient, redis: Redis) -> None:
    put(client)
    job = "5f0c7d1e-0000-4000-8000-000000000000"
    end_run(redis, job, "finished")
    note(redis, "missed")
    page = read(client, PAGE)
    strip = page.partition('<ol class="strip"')[2].partition("</ol>")[0]
    assert strip.index(f'class="run is-finished" href="/console/jobs/{job}"') < strip.index('class="run is-missed"')
    assert re.findall(r'only-spoken">(\w+) <time', strip) == ["finished", "missed"]
    assert page.partition('id="s-next"')[2].count("<li>") == 5
    assert "/console/jobs?tag=schedule%3Amorning" in page


@pytest.mark.parametrize("name", ["other", "a%20b", "x" * 60])
def test_a_schedule_that_is_not_there_is_a_404(client: TestClient, name: str) -> None:
    read(client, f"/console/schedules/{name}", 404)


def test_a_schedule_is_paused_resumed_and_run(
    client: TestClient, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "errand.api")
    put(client)
    page = client.post(f"{PAGE}/pause", headers=OURS)
    assert (page.url.path, redis.zscore(keys.SCHEDULES, "morning")) == (PAGE, float("inf"))
    assert "No runs while it is paused." in page.text
    page = client.post(f"{PAGE}/resume", headers=OURS, data={"from": "list"})
    assert (page.url.path, "is-active" in page.text) == ("/console/schedules", True)
    assert "A job of the schedule was stored." in client.post(f"{PAGE}/run", headers=OURS).text
    (id,) = redis.lrange("rq:queue:log", 0, -1)
    assert [line for line in caplog.messages if line.startswith("Console:")] == [
        "Console: schedule morning paused, asked for from testclient",
        "Console: schedule morning resumed, asked for from testclient",
        f"Console: schedule morning run as job {id.decode()}, asked for from testclient",
    ]


def test_the_button_of_one_that_skips_says_which_job_is_still_there(client: TestClient, redis: Redis) -> None:
    put(client, overlap="skip")
    client.post(f"{PAGE}/run", headers=OURS)
    (id,) = redis.lrange("rq:queue:log", 0, -1)
    answer = client.post(f"{PAGE}/run", headers=OURS)
    assert answer.status_code == 409
    assert f"job {id.decode()} of it has not ended, its status is queued" in answer.text
    assert redis.llen("rq:queue:log") == 1


@pytest.mark.parametrize("word", ["pause", "resume", "run"])
def test_what_is_not_there_can_t_be_changed(client: TestClient, redis: Redis, word: str) -> None:
    assert client.post(f"{PAGE}/{word}", headers=OURS).status_code == 404
    assert not redis.keys("*schedule*")


def test_who_may_only_look_sees_schedules_without_a_button(guarded: TestClient) -> None:
    sign_in(guarded, READ)
    assert "<button" not in guarded.get("/console/schedules").text.partition("<main")[2]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("*/7 * * * *", "*/7 * * * *"),
        ("5 * * * *", "every hour at :05"),
        ("0 */6 * * *", "every 6 hours at :00"),
        ("30 7,19 * * *", "at 07:30 and 19:30"),
        ("@daily", "at 00:00"),
        ("0 7 * * 1-5", "at 07:00, Monday to Friday"),
        ("0 7 * * SAT,0", "at 07:00, Saturday and Sunday"),
        ("0 0 1 * *", "at 00:00, on day 1 of each month"),
        ("0 0 L * *", "at 00:00, on the last day of each month"),
        ("@yearly", "at 00:00, on day 1 of January"),
        ("0 9 * JUN-AUG MON", "at 09:00, Monday, in June to August"),
        ("0 0 13 * FRI", "0 0 13 * FRI"),
        ("0 0 * * FRI#2", "0 0 * * FRI#2"),
        ("0-30 7 * * *", "0-30 7 * * *"),
    ],
)
def test_usual_expressions_are_shown_in_words_and_others_as_they_are(expression: str, words: str) -> None:
    assert describe_cron(expression) == words


def test_a_span_is_shown_in_its_largest_unit() -> None:
    spans = {
        1: "every second",
        90: "every 90 seconds",
        300: "every 5 minutes",
        3600: "every hour",
        172_800: "every 2 days",
    }
    assert {seconds: describe_every(seconds) for seconds in spans} == spans


NEW = {"name": "morning", "type": "log", "cron": "0 7 * * *", "timezone": "Europe/Paris", "payload": '{"text": "x"}'}


def submit(client: TestClient, path: str = "/console/new-schedule", **fields: str) -> Any:
    return client.post(path, data={**NEW, **fields}, headers=OURS)


def list_faults(page: str) -> dict[str, str]:
    return {
        name: html.unescape(text)
        for name, text in re.findall(r'<p class="field-fault" id="f-(\w+)">(.*?)</p>', page, re.DOTALL)
    }


def test_a_schedule_is_created_by_the_form_as_the_api_would_store_it(client: TestClient) -> None:
    page = submit(client, catch_up="all", overlap="skip")
    assert (page.url.path, "The schedule is stored." in page.text) == (PAGE, True)
    shown = client.get("/v1/schedules/morning").json()
    assert {name: shown[name] for name in ("type", "payload", "cron", "timezone", "catch_up", "overlap")} == {
        "type": "log",
        "payload": {"text": "x"},
        "cron": "0 7 * * *",
        "timezone": "Europe/Paris",
        "catch_up": "all",
        "overlap": "skip",
    }


def test_a_span_is_written_with_its_unit(client: TestClient) -> None:
    submit(client, cron="", timezone="UTC", every="90", unit="minute")
    assert client.get("/v1/schedules/morning").json()["every_seconds"] == 5400
    assert 'name="every" value="90"' in read(client, f"{PAGE}/edit")


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"name": ""}, {"name": "write 1 to 50 letters"}),
        ({"name": "jobs.x"}, {"name": "belong to the job files"}),
        ({"type": ""}, {"type": "Field required"}),
        ({"type": "sms"}, {"type": "there is no job type 'sms'"}),
        ({"cron": ""}, {"cron": "give either cron or every_seconds"}),
        ({"cron": "0 25 * * *"}, {"cron": "hour '25' can't be read"}),
        ({"cron": "", "timezone": "UTC", "every": "x"}, {"every_seconds": "write a whole number"}),
        ({"cron": "", "timezone": "UTC", "every": "999", "unit": "day"}, {"every_seconds": "less than or equal to"}),
        ({"timezone": "Europe/Pariss"}, {"timezone": "do you mean Europe/Paris?"}),
        ({"payload": "{"}, {"payload": "it is not JSON"}),
        ({"payload": '{"a": NaN}'}, {"payload": "it is not JSON"}),
        ({"payload": '{"text": "x", "b": 1}'}, {"payload": "b: Extra inputs are not permitted"}),
        ({"overlap": "x"}, {"overlap": "Input should be 'skip' or 'queue'"}),
        ({"name": "", "cron": "x", "payload": "{"}, {"name": "1 to 50", "cron": "write five", "payload": "JSON"}),
    ],
)
def test_what_is_wrong_is_shown_at_its_field_and_what_was_written_stays(
    client: TestClient, redis: Redis, fields: dict[str, str], faults: dict[str, str]
) -> None:
    page = submit(client, **fields)
    found = list_faults(page.text)
    assert (page.status_code, found.keys()) == (422, faults.keys())
    assert all(text in found[name] for name, text in faults.items()), found
    assert all(text in html.unescape(page.text) for text in fields.values())
    assert not redis.exists(keys.SCHEDULES)


def test_the_next_runs_are_shown_before_anything_is_stored(client: TestClient, redis: Redis) -> None:
    page = submit(client, do="preview").text
    assert "Next runs: at 07:00" in page
    assert page.partition('class="preview"')[2].count("<li>") == 5
    assert not redis.exists(keys.SCHEDULES)


def test_a_new_one_does_not_take_the_place_of_one_that_is_there(client: TestClient) -> None:
    put(client)
    assert "there is a schedule of this name" in list_faults(submit(client, cron="@daily").text)["name"]
    assert client.get("/v1/schedules/morning").json()["cron"] == DAILY["cron"]


def test_the_form_begins_with_the_example_of_a_type(client: TestClient) -> None:
    page = html.unescape(read(client, "/console/new-schedule?type=tally"))
    assert "<option selected data-example" in page
    assert '{\n  "number": 7\n}</textarea>' in page


def test_a_schedule_is_edited_and_stays_paused(client: TestClient) -> None:
    put(client)
    client.post("/v1/schedules/morning/pause")
    form = html.unescape(read(client, f"{PAGE}/edit"))
    assert 'value="0 7 * * MON-FRI"' in form
    assert '{\n  "text": "Good morning"\n}</textarea>' in form
    page = submit(client, f"{PAGE}/edit", name="other", cron="@hourly")
    assert "The schedule is changed." in page.text
    shown = client.get("/v1/schedules/morning").json()
    assert (shown["cron"], shown["paused"], shown["payload"]) == ("@hourly", True, {"text": "x"})
    assert client.get("/v1/schedules/other").status_code == 404


def test_a_schedule_is_deleted_and_the_page_asks_first(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "errand.api")
    put(client)
    ask = read(client, PAGE).partition("<details")[2].partition("</details>")[0]
    assert f'action="{PAGE}/delete"' in ask
    page = client.post(f"{PAGE}/delete", headers=OURS)
    assert (page.url.path, "The schedule is deleted." in page.text) == ("/console/schedules", True)
    assert client.get("/v1/schedules/morning").status_code == 404
    assert "Console: schedule morning deleted, asked for from testclient" in caplog.messages
    assert client.post(f"{PAGE}/delete", headers=OURS).status_code == 404


def test_a_job_file_s_own_is_neither_edited_nor_deleted_but_paused(client: TestClient, redis: Redis) -> None:
    put(client)
    redis.hset(f"{keys.SCHEDULE}morning", "source", "file")
    page = read(client, PAGE)
    assert "its job file" in page
    assert "/edit" not in page
    assert "/delete" not in page
    assert read(client, f"{PAGE}/edit", 409)
    assert submit(client, f"{PAGE}/edit").status_code == client.post(f"{PAGE}/delete", headers=OURS).status_code == 409
    assert client.get("/v1/schedules/morning").json()["cron"] == DAILY["cron"]
    client.post(f"{PAGE}/pause", headers=OURS)
    assert client.get("/v1/schedules/morning").json()["paused"]


def test_who_may_only_look_has_no_form(guarded: TestClient, client: TestClient) -> None:
    put(client)
    sign_in(guarded, READ)
    for path in ("/console/new-schedule", PAGE, f"{PAGE}/edit"):
        page = guarded.get(path)
        assert page.status_code == 200
        assert 'method="post"' not in page.text.partition("<main")[2]


def test_what_is_wrong_comes_first_and_many_are_pages(client: TestClient, redis: Redis) -> None:
    for number in range(55):
        put(client, f"s{number:02}")
    redis.zadd(keys.SCHEDULES, {"s54": int(time.time()) - 60})
    first = re.findall(r'id="schedule-(\w+)"', read(client, "/console/schedules"))
    assert (first[:2], len(first)) == (["s54", "s00"], 50)
    second = re.findall(r'id="schedule-(\w+)"', read(client, "/console/schedules?page=2"))
    assert second == ["s49", "s50", "s51", "s52", "s53"]
    assert 'href="/console/schedules">Back' in read(client, "/console/schedules?page=2")
