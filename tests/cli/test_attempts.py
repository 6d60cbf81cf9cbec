"""`errand attempts`."""

import json
from typing import Any

from tests.cli.conftest import Quick
from tests.cli.scripted import ID
from tests.support.receivers import Reply, ScriptedService

TRACE = (
    'ValueError: no number\n  File "/srv/jobs/sms.py", line 12, in send\n    int(to)\n'
    "  … 14 frames of libraries, the last at client.py:9 in connect"
)


def make_attempt(number: int, **more: Any) -> dict[str, Any]:
    told = {"number": number, "worker": "w1", "started_at": "2026-11-23T14:17:21Z", "ended_at": None, "outcome": None}
    return {**told, "error": None, "frame": None, "traceback": None, **more}


FAILED = make_attempt(
    1,
    ended_at="2026-11-23T14:17:22.5Z",
    outcome="failed",
    error={"type": "ValueError", "message": "no number"},
    traceback=TRACE,
)


def test_each_attempt_is_told_with_its_error_and_frames(quick: Quick, scripted: ScriptedService) -> None:
    lost = make_attempt(2, outcome="lost", error={"type": "Lost", "message": "its process\x1b[2J died"})
    scripted.reply(f"GET /v1/jobs/{ID}/attempts", Reply({"items": [FAILED, lost, make_attempt(3)]}))
    lines = quick("attempts", ID, COLUMNS="40").stdout.splitlines()
    assert lines[0].startswith("attempt 1  failed  2026-11-23")
    assert lines[0].endswith("  for 1.500 s  on w1")
    assert lines[1:5] == [f"  {line}" for line in TRACE.splitlines()]
    assert lines[5].startswith("attempt 2  lost")
    assert lines[6] == "  Lost: its process [2J died"
    assert lines[7].startswith("attempt 3  running")


def test_a_traceback_that_comes_again_is_told_once(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET /v1/jobs/{ID}/attempts", Reply({"items": [FAILED, FAILED | {"number": 2}]}))
    lines = quick("attempts", ID).stdout.splitlines()
    assert lines[5].startswith("attempt 2  failed")
    assert lines[6:] == ["  ValueError: no number (as in attempt 1)"]


def test_json_is_a_line_an_attempt_and_full_is_asked_for(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET /v1/jobs/{ID}/attempts", Reply({"items": [FAILED, make_attempt(2)]}))
    out = quick("attempts", ID, "--full", "--json").stdout
    assert [json.loads(line)["number"] for line in out.splitlines()] == [1, 2]
    assert scripted.received[0].path.endswith("/attempts?full=true")


def test_one_that_has_not_begun_is_told_on_the_error_output(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET /v1/jobs/{ID}/attempts", Reply({"items": []}))
    found = quick("attempts", ID)
    assert (found.exit_code, found.stdout, found.stderr) == (0, "", "it has not started\n")
