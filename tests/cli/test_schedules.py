"""`errand schedule`."""

import json

import pytest

from tests.cli.conftest import Errand, Quick
from tests.cli.scripted import ID
from tests.support.receivers import Reply, ScriptedService, make_problem
from tests.support.services import Services


@pytest.mark.parametrize("words", [[], ["--cron", "@daily", "--every", "5m"]])
def test_it_wants_one_rhythm(quick: Quick, scripted: ScriptedService, words: list[str]) -> None:
    found = quick("schedule", "put", "digest", "log", *words)
    assert (found.exit_code, found.stderr) == (2, "errand: give either --cron or --every\n")
    assert not scripted.received


def test_nothing_is_put_that_was_not_given(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("PUT /v1/schedules/a%2Fb", Reply({}, 201))
    quick("schedule", "put", "a/b", "log", "-f", "text=Hi", "--every", "5m", "--json")
    assert scripted.received[0].json == {"type": "log", "payload": {"text": "Hi"}, "every_seconds": 300}


def test_a_schedule_from_its_first_to_its_last_day(errand: Errand, services: Services) -> None:
    options = ["--cron", "0 7 * * MON-FRI", "--timezone", "Europe/Paris", "--overlap", "skip"]
    put = errand("schedule", "put", "digest", "echo", '{"value": "Hi"}', *options)
    assert (put.code, put.err) == (0, "")
    assert "  when      0 7 * * MON-FRI Europe/Paris\n" in put.out
    assert json.loads(errand("schedule", "show", "digest", "--json").out)["overlap"] == "skip"
    id = errand("schedule", "run", "digest").out.split()[0]
    assert services.wait_for(id)["result"] == "Hi"
    assert f"finished  {id} (by hand)" in errand("schedule", "show", "digest").out
    assert errand("schedule", "pause", "digest").out.startswith("digest  paused\n")
    head, row = errand("schedule", "list").out.splitlines()
    assert (head.split(), row.split()[0], row.split()[-1]) == (["name", "type", "when", "next"], "digest", "paused")
    assert json.loads(errand("schedule", "resume", "digest", "--json").out)["paused"] is False
    assert errand("schedule", "delete", "digest").out == "digest  deleted\n"
    gone = errand("schedule", "show", "digest")
    assert (gone.code, gone.out, gone.err) == (3, "", "errand: There is no schedule 'digest'\n")


def test_a_run_that_is_refused_since_the_last_job_is_still_there_says_which(
    quick: Quick, scripted: ScriptedService
) -> None:
    detail = f"Schedule 'digest' skips what overlaps, and job {ID} of it has not ended, its status is started"
    scripted.reply("POST /v1/schedules/digest/run", Reply(make_problem(409, "not-runnable", detail), 409))
    found = quick("schedule", "run", "digest")
    assert (found.exit_code, found.stdout, found.stderr) == (3, "", f"errand: {detail}\n")


def test_an_impossible_rhythm_is_told_by_its_part(errand: Errand) -> None:
    found = errand("schedule", "put", "digest", "echo", "-f", "value=a", "--cron", "61 * * * *")
    assert found.code == 3
    assert found.err.splitlines()[1].startswith("  cron  minute '61'")
