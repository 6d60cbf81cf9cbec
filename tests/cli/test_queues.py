"""`errand queues`."""

import json

from tests.cli.conftest import Errand, Quick
from tests.support.receivers import Reply, ScriptedService
from tests.support.services import Services


def make_queue(name: str, **more: object) -> dict[str, object]:
    jobs = {"queued": 1200, "started": 2, "scheduled": 0, "deferred": 0, "rate_limited": 0, "failed": 1}
    head = {"name": name, "paused": False, "state": "active", "oldest_at": None, "oldest_seconds": 310.2, "jobs": jobs}
    return {**head, **more}


def test_they_are_a_table(quick: Quick, scripted: ScriptedService) -> None:
    draining = make_queue("log", paused=True, state="draining")
    email = make_queue("email", retrying=7, newest_error="ConnectionRefusedError")
    scripted.reply("GET /v1/queues", Reply({"items": [email, draining]}))
    assert [line.split() for line in quick("queues").stdout.splitlines()] == [
        ["queue", "queued", "started", "scheduled", "deferred", "retrying", "failed", "oldest", "error"],
        ["email", "1,200", "2", "·", "·", "7", "1", "5", "min", "ConnectionRefusedError"],
        ["log", "1,200", "2", "·", "·", "·", "1", "5", "min", "paused,", "draining"],
    ]


def test_only_what_has_nothing_waiting_is_drained(quick: Quick, scripted: ScriptedService) -> None:
    full = make_queue("log", paused=True, state="drained")
    empty = make_queue("mail", paused=True, state="drained", jobs={}, oldest_seconds=None)
    scripted.reply("GET /v1/queues", Reply({"items": [full, empty]}))
    assert [line.split("   ")[-1].strip() for line in quick("queues").stdout.splitlines()[1:]] == [
        "paused",
        "paused, drained",
    ]


def test_a_queue_that_no_worker_serves_says_so(quick: Quick, scripted: ScriptedService) -> None:
    why = {"verdict": "no_worker", "reason": "no worker serves it", "jobs": 1200}
    scripted.reply("GET /v1/queues", Reply({"items": [make_queue("log", why=why)]}))
    assert quick("queues").stdout.splitlines()[1].endswith("  no worker serves it")


def test_a_rare_state_has_a_column_when_there_is_one(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("GET /v1/queues", Reply({"items": [make_queue("email", jobs={"rate_limited": 3})]}))
    head, row = quick("queues", "--once").stdout.splitlines()
    assert "rate limited" in head
    assert row.split() == ["email", "·", "·", "·", "·", "·", "·", "3", "5", "min"]


def test_what_waits_for_a_worker_stands_behind_its_queue(quick: Quick, scripted: ScriptedService) -> None:
    waiting = [{"type": "sms", "jobs": 1200, "reason": "no worker knows this type"}]
    scripted.reply("GET /v1/queues", Reply({"items": [make_queue("email", waiting=waiting)]}))
    assert quick("queues").stdout.splitlines()[1].endswith("5 min         1,200 sms: no worker knows this type")


def test_a_queue_is_paused_and_resumed(errand: Errand, services: Services) -> None:
    paused = errand("queues", "pause", "default", "nope")
    assert (paused.code, paused.out) == (3, "default  paused\n")
    assert paused.err.startswith("errand: There is no queue 'nope'; there are default, ")
    services.post("echo", {"value": "a"})
    (queue,) = [one for one in map(json.loads, errand("queues", "--json").out.splitlines()) if one["name"] == "default"]
    assert (queue["paused"], queue["jobs"]["queued"]) == (True, 1)
    assert errand("queues", "resume", "default").out == "default  resumed\n"
