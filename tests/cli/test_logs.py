"""`errand logs`, and log lines in `errand watch`."""

import json

from tests.cli.conftest import Quick
from tests.cli.scripted import ID, make_event, make_job
from tests.cli.test_terminal import run_on_terminal
from tests.support.receivers import Reply, ScriptedService, make_problem

PATH = f"/v1/jobs/{ID}"


def make_line(number: int, text: str, level: str = "INFO", logger: str = "app") -> dict[str, object]:
    time = f"2026-11-29T00:31:0{number}.000Z"
    return {"number": number, "time": time, "level": level, "attempt": 1, "logger": logger, "text": text}


ONE, TWO = make_line(1, "one"), make_line(2, "two\x1b[2J\nlines", "print", "stdout")
THREE = make_line(3, "three", "ERROR")


def test_lines_are_shown_with_time_attempt_and_where_they_come_from(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET {PATH}/logs", Reply({"items": [ONE, TWO], "dropped": 1200}))
    found = quick("logs", ID, TZ="UTC")
    first, *rest = found.stdout.splitlines()
    assert first.endswith("  1  INFO      app: one")
    assert rest[0].endswith("  1  stdout    two [2J")
    assert rest[1:] == ["lines"]
    assert (found.exit_code, found.stderr) == (0, "errand: 1,200 lines are not kept\n")


def test_json_is_a_line_an_item(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET {PATH}/logs", Reply({"items": [ONE, TWO], "dropped": 0}))
    found = quick("logs", ID, "--json")
    assert [json.loads(line) for line in found.stdout.splitlines()] == [ONE, TWO]


def test_follow_shows_each_line_once_until_the_end(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET {PATH}/logs", Reply({"items": [ONE], "dropped": 0}), Reply({"items": [], "dropped": 0}))
    scripted.reply(f"GET {PATH}", Reply(make_job("started")))
    lines = "".join(make_event("log", f"1.{line['number']}", line) for line in (ONE, TWO, THREE))
    scripted.stream(f"{PATH}/events", lines, make_event("end", "2", make_job("failed")))
    found = quick("logs", ID, "--follow", "--json")
    assert [json.loads(line)["number"] for line in found.stdout.splitlines()] == [1, 2, 3]
    assert found.exit_code == 0


def test_follow_shows_lines_at_the_end_where_there_are_no_events(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET {PATH}/logs", Reply({"items": [ONE], "dropped": 0}), Reply({"items": [TWO], "dropped": 0}))
    scripted.reply(f"GET {PATH}", Reply(make_job("started")), Reply(make_job("finished")))
    scripted.reply(f"GET {PATH}/events", Reply(make_problem(404, "not-found", "There is nothing there"), 404))
    found = quick("logs", ID, "-f", "--json")
    assert [json.loads(line)["number"] for line in found.stdout.splitlines()] == [1, 2]


def test_an_unknown_job_is_refused(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET {PATH}/logs", Reply(make_problem(404, "no-such-job", "There is no job"), 404))
    assert quick("logs", ID).exit_code == 3


def test_watch_shows_what_is_logged(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET {PATH}", Reply(make_job("started")))
    lines = "".join(make_event("log", f"1.{line['number']}", line) for line in (ONE, TWO))
    scripted.stream(f"{PATH}/events", lines, make_event("end", "2", make_job("finished")))
    found = quick("watch", ID)
    assert found.stdout.splitlines() == [
        f"{ID}  started",
        f"{ID}  INFO app: one",
        f"{ID}  two [2J",
        f"{ID}  lines",
        f"{ID}  finished",
    ]
    assert json.loads(quick("watch", ID, "--json").stdout)["status"] == "finished"


def test_watch_on_a_terminal_shows_what_is_logged_above_the_bar(scripted: ScriptedService) -> None:
    scripted.reply(f"GET {PATH}", Reply(make_job("started")))
    end = make_event("end", "2", make_job("finished"))
    scripted.stream(f"{PATH}/events", make_event("log", "1.1", ONE) + end)
    code, shown = run_on_terminal("watch", ID, ERRAND_URL=scripted.url)
    assert code == 0
    assert "INFO app: one\r\n" in shown
