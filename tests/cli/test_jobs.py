"""`errand status` and `errand list`."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.cli.conftest import Errand, Quick
from tests.cli.scripted import ID, make_job
from tests.support.receivers import Reply, ScriptedService
from tests.support.services import Services


def make_ids(count: int) -> list[str]:
    return [f"{number:08x}{ID[8:]}" for number in range(count)]


def make_pages(*sizes: int) -> list[Reply]:
    ids = iter(make_ids(sum(sizes)))
    pages = [[make_job(id=next(ids)) for _ in range(size)] for size in sizes]
    cursors = [f"c{number}" for number in range(1, len(sizes))] + [None]
    return [Reply({"items": page, "next": cursor}) for page, cursor in zip(pages, cursors, strict=True)]


def ask(scripted: ScriptedService) -> list[dict[str, list[str]]]:
    return [parse_qs(urlsplit(one.path).query) for one in scripted.received]


def test_filters_become_the_query(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("GET /v1/jobs", *make_pages(1))
    options = "--type log --queue low --status failed --tag x --since 2026-11-23T10:00Z --until 2026-11-24T10:00Z"
    assert quick("list", *options.split(), "--batch", "B", "--limit", "7").exit_code == 0
    assert ask(scripted) == [
        {
            "type": ["log"],
            "queue": ["low"],
            "status": ["failed"],
            "tag": ["x"],
            "batch": ["B"],
            "created_after": ["2026-11-23T10:00:00.000000+00:00"],
            "created_before": ["2026-11-24T10:00:00.000000+00:00"],
            "limit": ["7"],
        }
    ]


def test_a_page_may_be_short_and_not_the_last(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("GET /v1/jobs", *make_pages(2, 0, 1))
    found = quick("list", "--limit", "3", "--json")
    assert [json.loads(line)["id"] for line in found.stdout.splitlines()] == make_ids(3)
    assert [(one["limit"], one.get("cursor")) for one in ask(scripted)] == [
        (["3"], None),
        (["1"], ["c1"]),
        (["1"], ["c2"]),
    ]


def test_all_goes_to_the_last_page(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("GET /v1/jobs", *make_pages(100, 100, 5))
    assert len(quick("list", "--all", "--json").stdout.splitlines()) == 205


def test_a_table_is_not_cut_where_there_is_no_terminal(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("GET /v1/jobs", Reply({"items": [make_job(type="t" * 100, status="started")], "next": None}))
    head, row = quick("list", COLUMNS="80").stdout.splitlines()
    assert head.split() == ["id", "type", "status", "%", "created"]
    assert row.split()[:3] == [ID, "t" * 100, "started"]


def test_none_is_told_on_the_error_output(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("GET /v1/jobs", *make_pages(0))
    found = quick("list")
    assert (found.exit_code, found.stdout, found.stderr) == (0, "", "no such jobs\n")


def test_a_status_tells_all_that_is_known_in_clean_text(quick: Quick, scripted: ScriptedService) -> None:
    progress = {"done": 2, "total": 3, "percent": 66, "message": "half\x1b[2Jway", "updated_at": None}
    job = make_job(
        "failed",
        progress=progress,
        attempts=3,
        interruptions=1,
        tags=["a", "b"],
        depends_on=["P"],
        dependents=[{"id": "C", "status": "canceled"}],
        error={"type": "ValueError", "message": "no\nuse"},
    )
    scripted.reply(f"GET /v1/jobs/{ID}", Reply(job))
    out = re.sub(r"\(.* ago\)", "(ago)", quick("status", ID).stdout)
    shown = {line[2:14].strip(): line[14:] for line in out.splitlines()[1:]}
    assert out.splitlines()[0] == f"log {ID}"
    assert shown["status"] == "failed, 66 %: half [2Jway"
    assert shown["attempts"] == "3, 1 interrupted, 7 retries left"
    assert (shown["tags"], shown["depends on"], shown["dependents"]) == ("a, b", "P", "C (canceled)")
    assert shown["error"] == "ValueError: no use"


def show(quick: Quick, scripted: ScriptedService, job: Any) -> str:
    scripted.reply(f"GET /v1/jobs/{ID}", Reply(job))
    return " ".join(quick("status", ID).stdout.split())


def test_a_status_says_when_a_job_expires_and_that_it_has(quick: Quick, scripted: ScriptedService) -> None:
    expires_at = datetime.now(UTC) + timedelta(minutes=10)
    page = show(quick, scripted, make_job(expires_at=expires_at.isoformat()))
    assert re.search(r"expires [\d-]+ [\d:]+[+-]\d\d:\d\d \(in 10 min\)", page)
    error = {"type": "Expired", "message": "it had not started by …"}
    page = show(quick, scripted, make_job("canceled", error=error, expires_at="2026-11-23T14:17:21.698Z"))
    assert "status canceled, expired queue" in page
    assert "error Expired: it had not started by …" in page
    assert "expires" not in page


def test_a_status_shows_the_payload_where_it_is_asked_for(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(
        f"GET /v1/jobs/{ID}", Reply(make_job("finished")), Reply(make_job("finished", payload={"text": "ä\x1b"}))
    )
    assert '  payload  {"text": "ä\\u001b"}' in quick("status", ID, "--payload").stdout.splitlines()
    assert [one.path for one in scripted.received] == [f"/v1/jobs/{ID}", f"/v1/jobs/{ID}?fields=payload"]


def test_a_status_of_a_failed_job_is_no_failure(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET /v1/jobs/{ID}", Reply(make_job("failed")))
    assert quick("status", ID).exit_code == 0


def test_a_status_tells_why_a_job_waits(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(
        f"GET /v1/jobs/{ID}/why", Reply({"verdict": "no_worker", "reason": "no worker serves the queue log"})
    )
    assert "why no worker serves the queue log" in show(quick, scripted, make_job())
    assert "why" not in show(quick, scripted, make_job("finished"))
    scripted.reply(f"GET /v1/jobs/{ID}/why", Reply(None, 404))
    waiting = {"reason": "no worker knows this type", "since": "2026-11-23T14:17:21.698Z"}
    assert "waits no worker knows this type" in show(quick, scripted, make_job(waiting=waiting))


def test_a_status_takes_several_ids(quick: Quick, scripted: ScriptedService) -> None:
    first, second = make_ids(2)
    for id in (first, second):
        scripted.reply(f"GET /v1/jobs/{id}", Reply(make_job("finished", id=id)))
    found = quick("status", first, "gone", second)
    assert [line for line in found.stdout.splitlines() if line.startswith("log ")] == [f"log {first}", f"log {second}"]
    assert (found.exit_code, "There is nothing at /v1/jobs/gone" in found.stderr) == (3, True)


def test_json_is_what_the_service_said(errand: Errand, services: Services) -> None:
    id = services.post("echo", {"value": "ä\u001b"})
    services.wait_for(id)
    found = errand("status", id, "--json")
    assert found.out.count("\n") == 1
    assert json.loads(found.out) == services.read(id)
    batch = services.call("POST", "/v1/batches/echo", {"items": [{"value": "a"}]}).body
    assert json.loads(errand("status", batch["id"], "--json").out)["total"] == 1
    assert errand("status", batch["id"]).out.startswith(f"echo {batch['id']}\n")
    listed = [json.loads(line)["id"] for line in errand("list", "--type", "echo", "--json").out.splitlines()]
    assert listed == [batch["jobs"][0]["id"], id]
    assert errand("list", "--status", "nope").err.splitlines()[1].startswith("  --status  ")
