"""`errand queues`."""

import json

from tests.cli.conftest import Errand, Quick
from tests.cli.scripted import Reply, ScriptedService
from tests.services import Services


def make_queue(name: str, **more: object) -> dict[str, object]:
    jobs = {"queued": 1200, "started": 2, "scheduled": 0, "deferred": 0, "rate_limited": 0, "failed": 1}
    head = {"name": name, "paused": False, "state": "active", "oldest_at": None, "oldest_seconds": 310.2, "jobs": jobs}
    return {**head, **more}


def test_they_are_a_table(quick: Quick, scripted: ScriptedService) -> None:
    draining = make_queue("log", paused=True, state="draining")
    scripted.reply("GET /v1/queues", Reply({"items": [make_queue("email"), draining]}))
    assert [line.split() for line in quick("queues").stdout.splitlines()] == [
        ["queue", "queued", "started", "scheduled", "deferred", "failed", "oldest"],
        ["email", "1,200", "2", "·", "·", "1", "5", "min"],
        ["log", "1,200", "2", "·", "·", "1", "5", "min", "paused,", "draining"],
    ]


def test_a_rare_state_has_a_column_when_there_is_one(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("GET /v1/queues", Reply({"items": [make_queue("email", jobs={"rate_limited": 3})]}))
    head, row = quick("queues", "--once").stdout.splitlines()
    assert "rate limited" in head
    assert row.split() == ["email", "·", "·", "·", "·", "·", "3", "5", "min"]


def test_what_waits_for_a_worker_stands_behind_its_queue(quick: Quick, scripted: ScriptedService) -> None:
    waiting = [{"type": "sms", "jobs": 1200, "reason": "no worker knows this type"}]
    scripted.reply("GET /v1/queues", Reply({"items": [make_queue("email", waiting=waiting)]}))
    assert quick("queues").stdout.splitlines()[1].endswith("5 min  1,200 sms: no worker knows this type")


def test_a_queue_is_paused_and_resumed(errand: Errand, services: Services) -> None:
    paused = errand("queues", "pause", "default", "nope")
    assert (paused.code, paused.out) == (3, "default  paused\n")
    assert paused.err.startswith("errand: There is no queue 'nope'; there are default, ")
    services.post("echo", {"value": "a"})
    (queue,) = [one for one in map(json.loads, errand("queues", "--json").out.splitlines()) if one["name"] == "default"]
    assert (queue["paused"], queue["jobs"]["queued"]) == (True, 1)
    assert errand("queues", "resume", "default").out == "default  resumed\n"
