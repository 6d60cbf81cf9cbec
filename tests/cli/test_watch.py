"""`errand watch`, and `send --wait`."""

import json
from datetime import UTC, datetime

import pytest

from tests.cli.conftest import Errand, Quick
from tests.cli.scripted import ID, make_event, make_job
from tests.support.receivers import Reply, ScriptedService, make_problem
from tests.support.services import Services

PATH = f"/v1/jobs/{ID}"
HALF = {"done": 1, "total": 2, "percent": 50, "message": "half", "updated_at": None}
NO_EVENTS = Reply(make_problem(404, "not-found", "There is nothing there"), 404)
NO_JOB = Reply(make_problem(404, "no-such-job", "There is no job"), 404)
FAILED = make_job("failed", error={"type": "ValueError", "message": "no\x1b[2J\nuse"})


def make_batch(**counts: int) -> dict[str, object]:
    every = dict.fromkeys(("queued", "started", "finished", "failed", "canceled", "stopped", "deleted"), 0) | counts
    ended = sum(every[name] for name in ("finished", "failed", "canceled", "stopped", "deleted"))
    total = sum(counts.values())
    return {"id": ID, "type": "log", "total": total, "percent": 100 * ended // total, **every, "links": {}}


def test_a_job_is_told_at_each_change_until_its_end(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET {PATH}", Reply(make_job()))
    news = [
        make_event("status", "1", make_job("started")),
        ": still there\n\n",
        make_event("progress", "2", HALF),
        make_event("end", "3", make_job("finished")),
    ]
    scripted.stream(f"{PATH}/events", "".join(news))
    found = quick("watch", ID)
    assert found.stdout.splitlines() == [f"{ID}  queued", f"{ID}  started", f"{ID}  finished"]
    assert (found.exit_code, found.stderr) == (0, "")


def test_a_lost_stream_is_resumed_after_the_last_event(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET {PATH}", Reply(make_job()))
    end = make_event("end", "8", make_job("finished"))
    scripted.stream(f"{PATH}/events", make_event("status", "7", make_job("started")), end)
    assert quick("watch", ID).exit_code == 0
    assert [one.headers["Last-Event-ID"] for one in scripted.find(f"GET {PATH}/events")] == [None, "7"]


def test_where_there_are_no_events_it_asks_again_and_again(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET {PATH}", Reply(make_job()), Reply(make_job("started")), Reply(make_job("finished")))
    scripted.reply(f"GET {PATH}/events", NO_EVENTS)
    found = quick("watch", ID)
    assert found.stdout.splitlines() == [f"{ID}  queued", f"{ID}  started", f"{ID}  finished"]
    assert len(scripted.find(f"GET {PATH}/events")) == 1


def test_a_service_that_is_away_for_a_while_is_waited_for(quick: Quick, scripted: ScriptedService) -> None:
    away = [Reply(status=None)] * 4
    scripted.reply(f"GET {PATH}", Reply(make_job()), *away, Reply(make_job("finished")))
    scripted.reply(f"GET {PATH}/events", Reply("<h1>Bad gateway</h1>", 502))
    assert quick("watch", ID).exit_code == 0


def test_a_service_that_stays_away_ends_the_watch(
    quick: Quick, scripted: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("errand.cli.client.follow.PATIENCE_SECONDS", 0.1)
    scripted.reply(f"GET {PATH}", Reply(make_job()), Reply(status=None))
    scripted.reply(f"GET {PATH}/events", Reply(status=None))
    found = quick("watch", ID)
    assert found.exit_code == 4
    assert found.stderr.startswith(f"errand: no service at {scripted.url}")


@pytest.mark.parametrize("status", ["failed", "stopped", "canceled"])
def test_another_end_than_finished_is_a_1(quick: Quick, scripted: ScriptedService, status: str) -> None:
    scripted.reply(f"GET {PATH}", Reply(make_job(status)))
    assert quick("watch", ID).exit_code == 1


def test_an_error_is_told_in_one_clean_line(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET {PATH}", Reply(FAILED))
    assert quick("watch", ID).stdout == f"{ID}  failed  ValueError: no [2J use\n"


def test_one_that_expired_says_so(quick: Quick, scripted: ScriptedService) -> None:
    error = {"type": "Expired", "message": "it had not started by then"}
    scripted.reply(f"GET {PATH}", Reply(make_job("canceled", error=error)))
    assert quick("watch", ID).stdout == f"{ID}  canceled, expired  Expired: it had not started by then\n"


def test_of_many_one_bad_end_is_a_1(quick: Quick, scripted: ScriptedService) -> None:
    other = ID.replace("b", "a")
    scripted.reply(f"GET {PATH}", Reply(FAILED))
    scripted.reply(f"GET /v1/jobs/{other}", Reply(make_job("finished", other)))
    found = quick("watch", ID, other, ID, "--json")
    assert (found.exit_code, found.stdout.count("\n")) == (1, 2)
    assert {json.loads(line)["id"]: json.loads(line)["status"] for line in found.stdout.splitlines()} == {
        ID: "failed",
        other: "finished",
    }


def test_a_job_that_was_deleted_meanwhile_did_not_finish(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET {PATH}", Reply(make_job()), NO_JOB)
    scripted.stream(f"{PATH}/events", make_event("end", "deleted", {"id": ID, "status": "deleted"}))
    found = quick("watch", ID)
    assert found.stdout.splitlines()[-1] == f"{ID}  deleted"
    assert found.exit_code == 1


def test_a_job_that_expired_meanwhile_is_a_refusal(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET {PATH}", Reply(make_job()), NO_JOB)
    scripted.reply(f"GET {PATH}/events", NO_EVENTS)
    assert quick("watch", ID).exit_code == 3


def test_an_id_of_neither_is_told_before_anything_is_watched(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET {PATH}", NO_JOB)
    scripted.reply(f"GET /v1/batches/{ID}", Reply(make_problem(404, "no-such-batch", "There is no batch"), 404))
    found = quick("watch", ID)
    assert (found.exit_code, found.stdout) == (3, "")
    assert found.stderr == f"errand: There is no job and no batch '{ID}'; it may have expired\n"


@pytest.mark.parametrize(("failed", "code"), [(0, 0), (1, 1)])
def test_a_batch_is_watched_like_a_job(quick: Quick, scripted: ScriptedService, failed: int, code: int) -> None:
    scripted.reply(f"GET {PATH}", NO_JOB)
    scripted.reply(f"GET /v1/batches/{ID}", Reply(make_batch(queued=4)))
    end = make_event("end", "2", make_batch(finished=4 - failed, failed=failed))
    scripted.stream(f"/v1/batches/{ID}/events", make_event("progress", "1", make_batch(finished=2, queued=2)) + end)
    found = quick("watch", ID)
    last = f"{ID}  3 of 4 finished, 1 failed" if failed else f"{ID}  4 of 4 finished"
    assert found.stdout.splitlines() == [
        f"{ID}  0 of 4 finished, 4 queued",
        f"{ID}  2 of 4 finished, 2 queued",
        last,
    ]
    assert found.exit_code == code


def test_a_retry_is_told_with_its_time_and_once_with_its_error(quick: Quick, scripted: ScriptedService) -> None:
    error = {"type": "ValueError", "message": "busy"}
    waiting = make_job("scheduled", attempts=1, run_at="2026-11-23T14:17:30Z", error=error)
    again = [make_job(status, attempts=1, error=error) for status in ("queued", "started")]
    scripted.reply(f"GET {PATH}", *map(Reply, (waiting, *again)), Reply(make_job("finished")))
    scripted.reply(f"GET {PATH}/events", NO_EVENTS)
    found = quick("watch", ID)
    here = datetime(2026, 11, 23, 14, 17, 30, tzinfo=UTC).astimezone().isoformat()
    assert found.stdout.splitlines()[0].endswith(f"{here.partition('T')[2]}: ValueError: busy")
    assert found.stdout.count("busy") == 1


def test_real_jobs_and_a_batch_are_watched_to_their_ends(errand: Errand, services: Services) -> None:
    good = errand("send", "sleep", "-f", "seconds:=0.5", "-q").out.strip()
    batch = errand("send", "echo", "--batch", "-", "-q", input='{"value": "a"}\n{"value": "b"}\n').out.strip()
    found = errand("watch", good, batch, "--json")
    assert (found.code, found.err) == (0, "")
    views = {view["id"]: view for view in map(json.loads, found.out.splitlines())}
    assert views[good]["result"] == "slept"
    assert views[batch]["finished"] == 2
    bad = errand(
        "send", "fail", "-f", f"ledger={services.environment['LOG_URL'][5:]}", "-f", "permanent:=true", "--wait"
    )
    assert bad.code == 1
    assert bad.out.splitlines()[-1].endswith("failed: attempt 1  PermanentError: no use")
