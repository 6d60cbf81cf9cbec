"""`errand failures`."""

import json
from typing import Any

from tests.cli.conftest import Quick
from tests.cli.scripted import ID
from tests.support.receivers import Reply, ScriptedService

PATH = "GET /v1/dead-letters/groups"
GROUP = {
    "fingerprint": "3f9a52c1d077",
    "type": "sms",
    "error": {"type": "ValueError", "message": "no\x1b number"},
    "frame": "jobs/sms.py:12 in send",
    "count": 1203,
    "failed": 1200,
    "retrying": 3,
    "first_at": "2026-11-23T14:17:21.698Z",
    "last_at": "2026-11-23T14:18:21.698Z",
    "example": ID,
}


def make_found(*groups: dict[str, Any], **more: Any) -> Reply:
    return Reply({"items": list(groups), "groups": len(groups), "scanned": 9, "total": 9, "complete": True, **more})


def test_groups_are_a_table_that_leads_to_an_example(quick: Quick, scripted: ScriptedService) -> None:
    unknown = GROUP | {"fingerprint": "a", "error": None, "frame": None, "failed": 0, "last_at": None}
    scripted.reply(PATH, make_found(GROUP, unknown))
    found = quick("failures", "--type", "sms", "--queue", "low")
    head, first, second = found.stdout.splitlines()
    assert head.split() == ["group", "failed", "retrying", "last", "type", "error", "at", "newest"]
    assert first.split()[:3] == ["3f9a52c1d077", "1,200", "3"]
    assert "sms   ValueError: no  number  jobs/sms.py:12 in send  " + ID in first
    assert second.split()[:3] == ["a", "·", "3"]
    assert scripted.received[0].path == "/v1/dead-letters/groups?type=sms&queue=low&limit=20"
    assert found.stderr == ""


def test_what_was_left_out_is_told_on_the_error_output(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(PATH, make_found(GROUP, groups=3, scanned=10_000, total=12_345, complete=False))
    assert quick("failures").stderr.splitlines() == [
        "and 2 groups more; see --limit",
        "looked at the newest 10,000 of 12,345 jobs",
    ]
    scripted.reply(PATH, make_found())
    assert quick("failures").stderr == "nothing has failed\n"


def test_json_is_a_line_a_group(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(PATH, make_found(GROUP))
    assert json.loads(quick("failures", "--json").stdout) == GROUP


def test_a_group_is_requeued_or_deleted(quick: Quick, scripted: ScriptedService) -> None:
    left = [{"id": "R", "detail": "it is tried again"}]
    scripted.reply(
        "POST /v1/dead-letters/requeue", Reply({"dry_run": True, "requeued": 2, "ids": ["A", "B"], "left": left})
    )
    scripted.reply("POST /v1/dead-letters/delete", Reply({"dry_run": False, "deleted": 1, "ids": ["A"], "left": []}))
    out = quick("failures", "requeue", "3f9a52c1d077", "--dry-run").stdout
    assert out.splitlines() == ["2 failed jobs would be requeued", "  A", "  B", "  R  left: it is tried again"]
    assert quick("failures", "delete", "3f9a52c1d077").stdout.splitlines()[0] == "1 failed job deleted"
    assert [one.path for one in scripted.received] == [
        "/v1/dead-letters/requeue?fingerprint=3f9a52c1d077&dry_run=true",
        "/v1/dead-letters/delete?fingerprint=3f9a52c1d077",
    ]
