"""`errand stats`."""

import json

from tests.cli.conftest import Quick
from tests.support.receivers import Reply, ScriptedService


def make_stats(**types: dict[str, object]) -> dict[str, object]:
    return {"step": "1m", "from": "x", "to": "x", "retention_seconds": {}, "total": types, "items": []}


LOG = {
    "ended": {"finished": 1200, "failed": 1, "stopped": 0, "canceled": 0},
    "attempts": {"finished": 1200, "failed": 4, "interrupted": 0, "lost": 0, "stopped": 0},
    "wait_seconds": {"p50": 0.0025, "p95": 3.4},
    "run_seconds": {"p50": 1500.0, "p95": None},
}


def test_they_are_a_table_by_type(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("GET /v1/stats", Reply(make_stats(log=LOG)))
    head, row = quick("stats", "--since", "1d", "--type", "log").stdout.splitlines()
    assert head.split()[:3] == ["type", "finished", "failed"]
    assert row.split() == ["log", "1,200", "1", "·", "·", "4", "·", "2.5", "ms", "3.4", "s", "25", "min"]


def test_the_services_json_is_passed_on(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("GET /v1/stats", Reply(make_stats()))
    assert json.loads(quick("stats", "--json").stdout) == make_stats()
