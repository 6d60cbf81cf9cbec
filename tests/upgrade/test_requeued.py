"""What the code of commit e6e9af9 has stored is changed over HTTP while the worker is there, and then runs."""

import pytest
from redis import Redis

from tests.support.waiting import wait_until
from tests.upgrade.conftest import Before

VALUES = {"failed": None, "ended 2": None, "stopped": 3, "canceled": 4}


def test_what_failed_was_stopped_or_canceled_finishes_when_it_is_requeued(before: Before) -> None:
    assert before.act("canceled with its parent", "requeue").status == 409  # its parent has failed
    for name in VALUES:
        answer = before.act(name, "requeue")
        assert (answer.status, answer.body["status"], answer.body["error"]) == (202, "queued", None)
    assert before.act("canceled with its parent", "requeue").body["status"] == "deferred"
    before.start_worker()
    for name in (*VALUES, "canceled with its parent", "deferred, wait"):
        before.site.wait_for(before[name], "finished")
    for name, value in VALUES.items():
        found = before.read(name)
        assert (found["result"], found["retries_left"]) == (value, 2)
    assert before.read("failed")["attempts"] == 2
    assert before.read("canceled with its parent")["result"] == 5
    assert before.read("deferred, wait")["result"] == 15
    assert before.get(f"/v1/batches/{before['ended']}")["finished"] == 2


def test_the_failed_jobs_of_a_queue_are_requeued_together(before: Before) -> None:
    answer = before.site.call("POST", "/v1/queues/default/requeue")
    assert (answer.status, answer.body["requeued"]) == (202, 2)
    assert {before.read(name)["status"] for name in ("failed", "ended 2")} == {"queued"}
    assert before.read("stopped")["status"] == "stopped"


def test_failed_jobs_are_requeued_and_deleted_by_filter(before: Before) -> None:
    tried = before.site.call("POST", "/v1/dead-letters/requeue?type=gate&dry_run=true")
    assert tried.status in (200, 202)
    assert before.read("failed")["status"] == "failed"
    assert before.site.call("POST", "/v1/dead-letters/delete?type=gate").status in (200, 202)
    assert before.site.call("GET", f"/v1/jobs/{before['ended 2']}").status == 404


@pytest.mark.slow
def test_a_job_of_the_dead_worker_that_is_canceled_is_stopped(before: Before) -> None:
    before.act("started", "cancel")
    before.start_worker()
    found = before.site.wait_for(before["started"], "stopped", "canceled")
    assert (found["status"], found["error"]["type"]) == ("stopped", "JobStopped")


@pytest.mark.slow
def test_a_queue_that_was_paused_is_resumed(before: Before) -> None:
    assert before.get("/v1/queues/digest")["paused"] is True
    before.start_worker()
    before.site.wait_for(before["queued"], "finished")
    assert before.read("digest")["status"] == "queued"
    assert before.site.call("POST", "/v1/queues/digest/resume").body["paused"] is False
    assert before.site.wait_for(before["digest"])["result"] == "the digest of 1 day(s)"
    (run,) = before.get("/v1/schedules/jobs.digest")["runs"]
    assert (run["job_id"], run["status"]) == (before["digest"], "finished")


@pytest.mark.slow
def test_a_paused_schedule_goes_on_when_it_is_resumed(before: Before) -> None:
    old = before.get("/v1/schedules/tick")["runs"]
    before.start_worker()
    before.site.call("POST", "/v1/schedules/tick/resume")
    runs = wait_until(lambda: new if len(new := before.get("/v1/schedules/tick")["runs"]) > len(old) + 1 else None)
    assert runs[-len(old) :] == old
    assert before.site.wait_for(runs[0]["job_id"])["result"] == "tick"
    assert runs[0]["slot"] > old[0]["slot"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["morning", "jobs.digest"])
def test_a_schedule_gives_the_job_of_a_slot_that_is_due(before: Before, redis: Redis, name: str) -> None:
    old = before.get(f"/v1/schedules/{name}")
    slot = int(redis.zscore("errand:schedules", name) or 0) - 86400
    redis.zadd("errand:schedules", {name: slot})
    before.start_worker()
    runs = wait_until(lambda: new if len(new := before.get(f"/v1/schedules/{name}")["runs"]) > 1 else None)
    assert (runs[0]["status"] != "missed", runs[0]["slot"][10:]) == (True, "T07:00:00Z")
    assert runs[1]["job_id"] == old["runs"][0]["job_id"]
    found = before.get(f"/v1/schedules/{name}")
    assert {field: found[field] for field in ("next_run_at", "created_at", "updated_at")} == {
        field: old[field] for field in ("next_run_at", "created_at", "updated_at")
    }
