"""What the code of commit e6e9af9 has stored is read and changed over HTTP as by that code, with no worker about."""

from typing import Any

import pytest
from redis import Redis

from tests.upgrade.conftest import Before
from tests.upgrade.fill import KEYED, ORDER
from tests.upgrade.stored import export, trim

WAITING = {
    "queued": "queued",
    "queued, first": "queued",
    "queued email": "queued",
    "queued webhook": "queued",
    "digest": "queued",  # in a paused queue
    "slow 3": "queued",  # parked
    "delayed": "scheduled",
    "to be tried again": "scheduled",
    "deferred, last": "deferred",
    "deferred, wait": "deferred",
    "deferred, run": "deferred",
    "limited 2": "rate_limited",
    "created": "created",
    "ready": "ready_to_enqueue",
}
ENDED = ("finished", "finished email", "failed", "stopped", "canceled", "ended 2", "told of", "keyed")


def find_keys(keys: dict[str, Any], id: str) -> list[str]:
    """Return the keys in whose name or members a job is, but for what is kept beyond it and other jobs' links to it."""
    kept = ("errand:batch:", "errand:schedule:", "errand:mail:", "errand:idempotency:", "errand:deleted:", "rq:job:")
    members = {
        key: held["value"] for key, held in keys.items() if held["type"] != "string" and not key.startswith(kept)
    }
    own = [key for key in keys if id in key and not key.startswith(kept[:-1])]
    return own + [key for key, held in members.items() if any(id in one for one in held)]


@pytest.mark.parametrize("kind", ["jobs/", "jobs?", "batches/", "schedules", "queues", "workers", "dead-letters"])
def test_all_that_can_be_read_is_shown_as_before(before: Before, kind: str) -> None:
    written = before.written
    told = {path: answer for path, answer in written["answers"].items() if path.startswith("/v1/" + kind)}
    assert told
    now = {path: trim(before.get(path), written["fields"]) for path in told}
    for path in now if kind == "batches/" else ():
        assert now[path]["links"].pop("jobs") == f"{path}/jobs"  # there are links to more now
    assert now == told


def test_every_status_is_among_the_jobs(before: Before) -> None:
    assert {before.read(name)["status"] for name in before.written["jobs"]} == {
        "created",
        "queued",
        "started",
        "finished",
        "failed",
        "scheduled",
        "deferred",
        "canceled",
        "stopped",
        "rate_limited",
        "ready_to_enqueue",
    }


def test_a_delayed_job_is_due_when_it_was(before: Before) -> None:
    assert before.read("delayed")["run_at"] is not None
    assert before.read("to be tried again")["run_at"] is not None
    assert before.read("queued")["run_at"] is None


def test_a_request_sent_again_gets_its_first_answer_again(before: Before, redis: Redis) -> None:
    jobs = redis.keys("rq:job:*")
    answer = before.site.call("POST", "/v1/jobs/gate", ORDER, KEYED)
    assert (answer.status, answer.headers["Idempotency-Replayed"]) == (202, "true")
    assert answer.body == before.written["keyed"]
    assert sorted(redis.keys("rq:job:*")) == sorted(jobs)
    assert before.site.call("POST", "/v1/jobs/gate", {"value": "order 8"}, KEYED).status == 422


@pytest.mark.parametrize("name", WAITING)
def test_a_job_that_waits_is_canceled(before: Before, redis: Redis, name: str) -> None:
    assert before.read(name)["status"] == WAITING[name]
    answer = before.act(name, "cancel")
    assert (answer.status, answer.body["status"]) == (200, "canceled")
    assert before.read(name)["error"] == {"type": "Canceled", "message": "it was canceled on request"}
    waits = ("rq:queue", "rq:scheduled", "rq:deferred", "rq:ready", "rq:rl", "errand:rated")
    assert [key for key in find_keys(export(redis), before[name]) if key.startswith(waits)] == []


def test_with_a_canceled_job_go_those_that_wait_for_it(before: Before) -> None:
    assert before.act("queued", "cancel").status == 200
    for name in ("deferred", "deferred, last"):
        assert before.read(name)["status"] == "canceled"
    assert before.read("deferred, wait")["status"] == "deferred"


@pytest.mark.parametrize("name", ENDED)
def test_a_job_that_has_ended_is_not_canceled(before: Before, name: str) -> None:
    assert before.act(name, "cancel").status == 409


@pytest.mark.parametrize("name", [*ENDED, *WAITING])
def test_a_deleted_job_is_gone_with_all_its_keys(before: Before, redis: Redis, name: str) -> None:
    assert find_keys(export(redis), before[name])
    assert before.site.call("DELETE", f"/v1/jobs/{before[name]}").status == 204
    assert before.site.call("GET", f"/v1/jobs/{before[name]}").status == 404
    assert find_keys(export(redis), before[name]) == []


def test_a_job_that_runs_is_not_deleted(before: Before) -> None:
    assert before.site.call("DELETE", f"/v1/jobs/{before['started']}").status == 409


def test_a_batch_counts_what_was_deleted(before: Before) -> None:
    for name in ("running 1", "running 2"):
        assert before.site.call("DELETE", f"/v1/jobs/{before[name]}").status == 204
    found = before.get(f"/v1/batches/{before['running']}")
    assert (found["total"], found["finished"], found["deleted"], found["percent"]) == (2, 1, 1, 100)


def test_a_schedule_is_changed_and_taken_out(before: Before, redis: Redis) -> None:
    before.site.call("POST", "/v1/schedules/morning/pause")
    assert before.get("/v1/schedules/morning")["next_run_at"] is None
    before.site.call("POST", "/v1/schedules/morning/resume")
    assert before.get("/v1/schedules/morning")["next_run_at"].endswith("T07:00:00Z")
    assert before.site.call("DELETE", "/v1/schedules/jobs.digest").status == 409
    assert before.site.call("DELETE", "/v1/schedules/tick").status == 204
    assert redis.keys("errand:schedule:tick*") == []
