"""`errand cancel`, `errand requeue` and `errand delete`."""

import json

import pytest

from tests.cli.conftest import Errand, Quick
from tests.cli.scripted import ID, make_job
from tests.support.receivers import Reply, ScriptedService, make_problem
from tests.support.services import Services
from tests.support.waiting import wait_until

OTHER = ID.replace("b", "a")


def test_a_refusal_of_one_leaves_the_others(quick: Quick, scripted: ScriptedService) -> None:
    refusal = make_problem(409, "not-cancelable", "Job can't be canceled: its status is finished")
    scripted.reply(f"POST /v1/jobs/{ID}/cancel", Reply(refusal, 409))
    scripted.reply(f"POST /v1/jobs/{OTHER}/cancel", Reply(make_job("canceled", OTHER)))
    found = quick("cancel", ID, OTHER)
    assert found.exit_code == 3
    assert found.stdout == f"{OTHER}  canceled\n"
    assert found.stderr == "errand: Job can't be canceled: its status is finished\n"


def test_a_job_that_has_not_stopped_yet_is_told(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"POST /v1/jobs/{ID}/cancel", Reply(make_job("started"), 202))
    assert quick("cancel", ID).stdout == f"{ID}  started (asked to stop)\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give ids, or --failed"),
        (["--type", "log"], "give ids, or --failed with the filters"),
        ([ID, "--failed"], "give ids, or --failed with its filters, not both"),
        (["--failed"], "--failed wants a filter"),
        (["--failed", "--dry-run"], "--failed wants a filter"),
    ],
)
@pytest.mark.parametrize("word", ["requeue", "delete"])
def test_what_is_meant_has_to_be_said(
    quick: Quick, scripted: ScriptedService, word: str, words: list[str], said: str
) -> None:
    found = quick(word, *words)
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr.startswith(f"errand: {said}")
    assert not scripted.received


def test_of_many_failed_jobs_the_first_are_shown(quick: Quick, scripted: ScriptedService) -> None:
    left = [{"id": OTHER, "detail": "its record is damaged"}]
    scripted.reply(
        "POST /v1/dead-letters/requeue",
        Reply({"dry_run": False, "requeued": 1021, "ids": [ID], "left": left}, 202),
    )
    assert quick("requeue", "--failed", "--all").stdout.splitlines() == [
        "1,021 failed jobs requeued",
        f"  {ID}",
        "  … and 1,020 more",
        f"  {OTHER}  left: its record is damaged",
    ]
    assert scripted.received[0].path == "/v1/dead-letters/requeue?all=true"


def test_a_waiting_job_is_canceled_with_what_waits_for_it_and_deleted(errand: Errand, services: Services) -> None:
    first = services.post("echo", {"value": "a"}, "?delay_seconds=600")
    second = services.post("echo", {"value": "b"}, f"?after={first}")
    found = errand("cancel", first)
    assert (found.code, found.err) == (0, "")
    assert found.out == f"{first}  canceled\n  {second}  canceled (waits for it)\n"
    assert errand("cancel", first).code == 3
    deleted = errand("delete", first, second)
    assert (deleted.code, deleted.out) == (0, f"{first}  deleted\n{second}  deleted\n")
    assert errand("delete", first, "--json").code == 3


def test_failed_jobs_are_found_requeued_and_deleted(errand: Errand, services: Services) -> None:
    ledger = services.environment["LOG_URL"].removeprefix("file:")
    ids = [services.post("fail", {"ledger": ledger, "permanent": True}) for _ in range(2)]
    for id in ids:
        services.wait_for(id)
    dry = errand("requeue", "--failed", "--type", "fail", "--error", "no use", "--dry-run")
    assert (dry.code, dry.out.splitlines()[0]) == (0, "2 failed jobs would be requeued")
    assert errand("requeue", "--failed", "--type", "echo").out == "0 failed jobs requeued\n"
    assert errand("requeue", "--failed", "--since", "1h").out.startswith("2 failed jobs requeued\n")
    wait_until(lambda: all(services.wait_for(id)["attempts"] == 2 for id in ids))
    one = errand("requeue", ids[0], "--json")
    assert json.loads(one.out)["status"] in ("queued", "started", "failed")
    services.wait_for(ids[0])
    assert errand("delete", "--failed", "--all").out.startswith("2 failed jobs deleted\n")
    assert errand("status", ids[0]).code == 3
